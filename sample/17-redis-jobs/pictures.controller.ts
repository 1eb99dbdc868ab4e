import { Body, Controller, Get, HttpCode, Post } from '@nestjs/common';
import { DeadLetters, Publisher } from 'nestjs-messaging';
import { type Job, ParseJob, pictureTaken } from './picture.js';
import { PicturesService, THUMBNAILS } from './pictures.service.js';

@Controller()
export class PicturesController {
  constructor(
    private readonly publisher: Publisher,
    private readonly deadLetters: DeadLetters,
    private readonly service: PicturesService,
  ) {}

  @Post('pictures')
  async take(@Body(ParseJob) { name, seconds }: Job): Promise<{ id: string; outcome: string }> {
    const options = { id: name, ...(seconds > 0 && { delay: seconds * 1_000 }) };
    const { id, outcome } = await this.publisher.publish(pictureTaken, { name }, options);
    return { id, outcome };
  }

  @Get('pictures')
  small(): readonly string[] {
    return this.service.small;
  }

  @Get('failed')
  async failed(): Promise<{ id: string; error: string }[]> {
    const letters = await this.deadLetters.list({ subscription: THUMBNAILS });
    return letters.map(({ id, error }) => ({ id, error: error.message }));
  }

  @Post('failed/retry')
  @HttpCode(202)
  async retry(): Promise<{ again: number }> {
    const { matched } = await this.deadLetters.redrive({ subscription: THUMBNAILS });
    return { again: matched };
  }
}
