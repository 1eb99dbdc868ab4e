import { BadRequestException, Injectable, type PipeTransform } from '@nestjs/common';
import { message } from 'nestjs-messaging';

export interface Scan {
  readonly parcel: string;
  readonly place: string;
}

export const parcelScanned = message<Scan>('parcel.scanned');

/** Whose scan a request brings. */
export interface TakenScan extends Scan {
  readonly by: 'carrier' | 'us';
}

/** Makes a scan of a request's body; anything else is answered with 400. */
@Injectable()
export class ParseScan implements PipeTransform<unknown, TakenScan> {
  transform(body: unknown): TakenScan {
    const { parcel, place, by } = (body ?? {}) as Partial<TakenScan>;
    if (by !== 'carrier' && by !== 'us') throw new BadRequestException('«by» must be carrier or us');
    return { parcel: text('parcel', parcel), place: text('place', place), by };
  }
}

function text(name: string, value: unknown): string {
  if (typeof value !== 'string' || value === '' || value.length > 100)
    throw new BadRequestException(`«${name}» must be a text of 1 to 100 characters`);
  return value;
}
