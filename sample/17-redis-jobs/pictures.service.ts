import { Injectable } from '@nestjs/common';
import { bounded, MessageContext, Subscribe, UnrecoverableError } from 'nestjs-messaging';
import { type Picture, pictureTaken } from './picture.js';

export const THUMBNAILS = 'thumbnails';

/** Makes pictures small, several at a time. One that was asked for twice is made once. */
@Injectable()
export class PicturesService {
  readonly small: string[] = [];

  @Subscribe(pictureTaken, { name: THUMBNAILS, concurrency: bounded(5), idempotent: true })
  async makeSmall({ name }: Picture, { attempt }: MessageContext): Promise<void> {
    if (!/\.(png|jpg)$/.test(name)) throw new UnrecoverableError(`${name} is no picture`);
    if (name.startsWith('cat') && attempt === 1) throw new Error('the camera is slow');
    this.small.push(name);
  }
}
