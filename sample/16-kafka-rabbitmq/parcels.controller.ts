import { Body, Controller, Get, Post } from '@nestjs/common';
import { InjectPublisher, Publisher } from 'nestjs-messaging';
import { CARRIERS, ParcelsService } from './parcels.service.js';
import { parcelScanned, ParseScan, type TakenScan } from './scan.js';

@Controller()
export class ParcelsController {
  constructor(
    private readonly publisher: Publisher,
    @InjectPublisher(CARRIERS) private readonly carriers: Publisher,
    private readonly service: ParcelsService,
  ) {}

  @Post('scans')
  async scan(@Body(ParseScan) { by, parcel, place }: TakenScan): Promise<{ id: string; outcome: string }> {
    const publisher = by === 'carrier' ? this.carriers : this.publisher;
    const { id, outcome } = await publisher.publish(parcelScanned, { parcel, place }, { key: parcel });
    return { id, outcome };
  }

  @Get('parcels')
  parcels(): unknown {
    return Object.fromEntries(this.service.parcels);
  }
}
