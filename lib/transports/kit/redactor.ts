export { percentDecoded, redactor, redactUrl } from '../../errors/redactor.js';
