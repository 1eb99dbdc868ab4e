import { BadRequestException, Injectable, type PipeTransform } from '@nestjs/common';

export interface Reading {
  readonly sensor: string;
  readonly celsius: number;
}

export interface Burst {
  readonly sensor: string;
  readonly count: number;
}

/** Makes a reading of a request's body; anything else is answered with 400. */
@Injectable()
export class ParseReading implements PipeTransform<unknown, Reading> {
  transform(body: unknown): Reading {
    const { sensor, celsius } = (body ?? {}) as Partial<Reading>;
    if (!Number.isFinite(celsius)) throw new BadRequestException('«celsius» must be a number');
    return { sensor: nameOf(sensor), celsius: celsius! };
  }
}

/** Makes a burst of a request's body. */
@Injectable()
export class ParseBurst implements PipeTransform<unknown, Burst> {
  transform(body: unknown): Burst {
    const { sensor, count } = (body ?? {}) as Partial<Burst>;
    if (!Number.isInteger(count) || count! < 1 || count! > 10_000)
      throw new BadRequestException('«count» must be a whole number from 1 to 10,000');
    return { sensor: nameOf(sensor), count: count! };
  }
}

function nameOf(sensor: unknown): string {
  if (typeof sensor !== 'string' || sensor.trim() === '' || sensor.length > 100)
    throw new BadRequestException('«sensor» must be a text of 1 to 100 characters');
  return sensor;
}
