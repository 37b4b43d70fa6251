// The types of the iMeasure 3D API, as its documentation gives them.
export type Point3 = [number, number, number];

export interface CropContext {
  id: string;
  world_origin: Point3;
  world_shape: Point3;
  world_spacing: Point3;
  rescale_intercept: number;
  rescale_slope: number;
  image_orientation_patient: [number, number, number, number, number, number];
  crop_boundaries_world: [Point3, Point3];
  crop_boundaries_voxel: [Point3, Point3];
  crop_boundaries_unclipped_voxel: [Point3, Point3];
  crop_cuboid_center_voxel: Point3;
  shape: Point3;
  world_bounding_image_positions: [Point3, Point3];
  image_count: number;
}

export interface RequestData extends CropContext {
  clicks: Point3[];
}

export interface InteractiveClick {
  mode: "positive" | "negative";
  points: Point3[];
}

export interface InteractiveRequestData extends CropContext {
  finding_id?: string;
  clicks: InteractiveClick[];
  magic_pen_points?: Point3[][];
}

export interface RequestMask {
  mask?: Uint8Array;
}

export interface MeasurementSegment {
  coords_world: [Point3, Point3];
  length_world: number;
}

export interface CrossMeasurement {
  short: MeasurementSegment;
  long: MeasurementSegment;
}

export interface Measurements {
  cross: { [sliceIndex: string]: CrossMeasurement };
  diameter?: MeasurementSegment;
  height?: MeasurementSegment;
}

export interface ApiResponse {
  id: string;
  mask: string;
  mask_shape: [number, number, number];
  mask_origin_voxel: Point3;
  mask_spacing: Point3;
  measurements: Measurements;
  volume: number;
  volume_mm3: number;
}

export interface ErrorResponse {
  error: string;
  code: string;
  details?: Record<string, unknown>;
}
