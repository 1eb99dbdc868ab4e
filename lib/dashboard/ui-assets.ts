/** A file of the pages. */
export interface UiAsset {
  readonly type: string;
  readonly text: string;
}

/** By name; the build puts what it makes of the folder `ui` in the place of this module (scripts/dashboard.mjs). */
export const uiAssets: Readonly<Record<string, UiAsset>> = {};
