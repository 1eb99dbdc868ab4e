import { BadRequestException, Body, Controller, Get, Post } from '@nestjs/common';
import { Publisher } from 'nestjs-messaging';
import { DepotService } from './depot.service.js';

const MOST = 100;
const SCANS = 3;

@Controller('parcels')
export class ParcelsController {
  private taken = 0;

  constructor(
    private readonly publisher: Publisher,
    private readonly depot: DepotService,
  ) {}

  /** Each parcel is scanned three times, and delivered. */
  @Post()
  async take(@Body() { parcels }: { parcels?: unknown }): Promise<{ confirmed: number }> {
    if (typeof parcels !== 'number' || !Number.isInteger(parcels) || parcels < 1 || parcels > MOST)
      throw new BadRequestException(`«parcels» must be a whole number from 1 to ${MOST}`);
    const names = Array.from({ length: parcels }, () => `P${++this.taken}`);
    const scans = names.flatMap((parcel) =>
      Array.from({ length: SCANS + 1 }, (_, at) => {
        const route = at === SCANS ? 'parcel.delivered' : 'parcel.scanned';
        return this.publisher.publish(route, { parcel, step: at + 1 }, { key: parcel });
      }),
    );
    const receipts = await Promise.all(scans);
    return { confirmed: receipts.filter(({ outcome }) => outcome === 'confirmed').length };
  }

  @Get()
  state(): object {
    const { depot } = this;
    const { scanned, delivered, labels, mails, archived, history } = depot;
    return {
      jammed: depot.jammed.size,
      ...Object.fromEntries(
        Object.entries({ scanned, delivered, labels, mails, archived, history }).map(
          ([name, { done, most, mostOfKey }]) => [
            name,
            { done: done.size, most, ...(name === 'history' && { mostOfKey }) },
          ],
        ),
      ),
    };
  }
}
