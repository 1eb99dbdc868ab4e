// For jest: in the place of lib/dashboard/ui-assets.ts stands what is made of the pages.
import { uiAssetsModule } from '../scripts/dashboard.mjs';

export default {
  process: () => ({ code: uiAssetsModule('commonjs') }),
  getCacheKey: () => uiAssetsModule('commonjs'),
};
