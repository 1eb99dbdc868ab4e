import { randomBytes } from 'node:crypto';

/** Of the dashboard, for this run. */
export const token = randomBytes(24).toString('base64url');
