// What the contract documents, done by a TypeScript program: create by each tool, then edit with history and mask.
import { decodeMask, foreground, isError, segment, type Reply } from "./client.js";
import type { CropContext, InteractiveClick, InteractiveRequestData, Point3, RequestData } from "./contract.js";

export interface Examples {
  context: CropContext;
  static: { clicks: Point3[] };
  interactive: Record<string, { finding_id?: string; clicks: InteractiveClick[]; magic_pen_points?: Point3[][] }>;
  edits: Record<string, string>;
}

export interface Outcome extends Reply {
  foreground?: { count: number; lower: Point3; upper: Point3 };
}

/** Every example, answered; an example in `edits` is sent with the mask of the example that it edits. */
export async function runExamples(
  url: string,
  examples: Examples,
  imageData: Int16Array<ArrayBuffer>,
): Promise<Record<string, Outcome>> {
  const outcomes: Record<string, Outcome> = {};
  const masks: Record<string, Uint8Array> = {};
  const requests: Record<string, RequestData | InteractiveRequestData> = {
    static: { ...examples.context, ...examples.static },
  };
  for (const [name, fields] of Object.entries(examples.interactive)) {
    requests[name] = { ...examples.context, ...fields };
  }
  for (const [name, metadata] of Object.entries(requests)) {
    const edited = examples.edits[name];
    const mask = edited === undefined ? undefined : masks[edited];
    const reply = await segment(url, metadata, imageData, mask === undefined ? {} : { mask });
    const outcome: Outcome = reply;
    if (!isError(reply.body)) {
      masks[name] = decodeMask(reply.body);
      outcome.foreground = foreground(masks[name], reply.body.mask_shape);
    }
    outcomes[name] = outcome;
  }
  return outcomes;
}
