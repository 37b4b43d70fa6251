import type { ApiResponse, ErrorResponse, InteractiveRequestData, Point3, RequestData, RequestMask } from "./contract.js";

export interface Reply {
  status: number;
  body: ApiResponse | ErrorResponse;
}

/** Sends a request the way the contract's usage example does. */
export async function segment(
  url: string,
  metadata: RequestData | InteractiveRequestData,
  imageData: Int16Array<ArrayBuffer>,
  { mask }: RequestMask = {},
): Promise<Reply> {
  const formData = new FormData();
  const metadataBlob = new Blob([JSON.stringify(metadata)], { type: "application/json" });
  formData.append("metadata", metadataBlob, "metadata.json");
  const imageBlob = new Blob([imageData.buffer], { type: "application/octet-stream" });
  formData.append("image", imageBlob, "image.bin");
  if (mask !== undefined) {
    const maskBlob = new Blob([new Uint8Array(mask)], { type: "application/octet-stream" });
    formData.append("mask", maskBlob, "mask.bin");
  }
  const response = await fetch(`${url}/seg`, { method: "POST", body: formData });
  return { status: response.status, body: (await response.json()) as ApiResponse | ErrorResponse };
}

export function isError(body: ApiResponse | ErrorResponse): body is ErrorResponse {
  return "code" in body;
}

/** Mask bytes (0 or 1), X fastest. */
export function decodeMask(response: ApiResponse): Uint8Array {
  return Uint8Array.from(atob(response.mask), (character) => character.charCodeAt(0));
}

/** Foreground voxels and their bounding box, walked with the contract's flattening loop. */
export function foreground(mask: Uint8Array, shape: Point3): { count: number; lower: Point3; upper: Point3 } {
  const lower: Point3 = [Infinity, Infinity, Infinity];
  const upper: Point3 = [-Infinity, -Infinity, -Infinity];
  let count = 0;
  let offset = 0;
  for (let z = 0; z < shape[2]; z++) {
    for (let y = 0; y < shape[1]; y++) {
      for (let x = 0; x < shape[0]; x++) {
        if (mask[offset++] === 1) {
          count++;
          [x, y, z].forEach((value, axis) => {
            lower[axis] = Math.min(lower[axis]!, value);
            upper[axis] = Math.max(upper[axis]!, value);
          });
        }
      }
    }
  }
  return { count, lower, upper };
}
