import { BadRequestException, Injectable, type PipeTransform } from '@nestjs/common';
import { message } from 'nestjs-messaging';

export interface Picture {
  readonly name: string;
}

export const pictureTaken = message<Picture>('picture.taken');

/** What a request asks for: a picture, after so many seconds. */
export interface Job extends Picture {
  readonly seconds: number;
}

/** Makes a job of a request's body; anything else is answered with 400. */
@Injectable()
export class ParseJob implements PipeTransform<unknown, Job> {
  transform(body: unknown): Job {
    const { name, seconds = 0 } = (body ?? {}) as Partial<Job>;
    if (typeof name !== 'string' || !/^[\w.-]{1,100}$/.test(name))
      throw new BadRequestException('«name» must be the name of a file');
    if (!(seconds >= 0 && seconds <= 3_600)) throw new BadRequestException('«seconds» must be a number up to 3,600');
    return { name, seconds };
  }
}
