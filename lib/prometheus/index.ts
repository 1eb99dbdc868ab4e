export { prometheus, prometheusMeter, type PrometheusOptions, type RegistryLike } from './prometheus.js';
