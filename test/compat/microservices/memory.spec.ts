import { describe } from '@jest/globals';
import { memory } from 'nestjs-messaging';
import { shopSuite } from './shop-suite.js';

describe("Nest's microservices in memory", () => shopSuite(async () => memory()));
