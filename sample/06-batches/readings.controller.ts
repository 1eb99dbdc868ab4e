import { Body, Controller, Get, Post } from '@nestjs/common';
import { DeadLetters, Publisher } from 'nestjs-messaging';
import { type Burst, ParseBurst, ParseReading, type Reading } from './reading.js';
import { ReadingsTable } from './readings.table.js';

@Controller('readings')
export class ReadingsController {
  constructor(
    private readonly publisher: Publisher,
    private readonly deadLetters: DeadLetters,
    private readonly table: ReadingsTable,
  ) {}

  /** Requests of the same few milliseconds go to the broker together: see `batching` in the module. */
  @Post()
  async take(@Body(ParseReading) reading: Reading): Promise<{ id: string; outcome: string }> {
    const { id, outcome } = await this.publisher.publish('reading.taken', reading);
    return { id, outcome };
  }

  @Post('burst')
  async burst(@Body(ParseBurst) { sensor, count }: Burst): Promise<{ confirmed: number }> {
    const entries = Array.from({ length: count }, (_, at) => ({
      route: 'reading.taken',
      body: { sensor, celsius: (at % 50) / 2 },
    }));
    const results = await this.publisher.publishMany(entries);
    return { confirmed: results.filter(({ outcome }) => outcome === 'confirmed').length };
  }

  @Get()
  stored(): ReturnType<ReadingsTable['statistics']> {
    return this.table.statistics();
  }

  @Get('rejected')
  async rejected(): Promise<{ id: string; error: string }[]> {
    const letters = await this.deadLetters.list({ subscription: 'archive' }, { limit: 100 });
    return letters.map(({ id, error }) => ({ id, error: error.message }));
  }
}
