import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import {
  type BatchContext,
  MessageContext,
  Messaging,
  Outcome,
  type ReceivedMessage,
  Subscribe,
  SubscribeBatch,
} from 'nestjs-messaging';
import { BATCH, ROUTE, SIDE_ROUTE, type WorkBody } from './settings.js';
import { work, WORKSHOP, type Workshop } from './work.js';

/** One call per message. */
@Injectable()
export class WorkHandler {
  constructor(@Inject(WORKSHOP) private readonly workshop: Workshop) {}

  @Subscribe(ROUTE)
  handle(body: WorkBody, context: MessageContext): Promise<void> {
    return work(this.workshop, body, context);
  }
}

/** One call for many, with an outcome of its own for each. */
@Injectable()
export class BatchHandler {
  constructor(@Inject(WORKSHOP) private readonly workshop: Workshop) {}

  @SubscribeBatch(ROUTE, BATCH)
  handle(bodies: WorkBody[], { entries }: BatchContext): Promise<(Outcome | Error)[]> {
    return Promise.all(
      bodies.map((body, at) =>
        work(this.workshop, body, entries[at]).then(
          () => Outcome.ack,
          (error: Error) => error,
        ),
      ),
    );
  }
}

/** As many loops as there may be messages here. */
@Injectable()
export class ReceiveLoops implements OnApplicationBootstrap {
  constructor(
    private readonly messaging: Messaging,
    @Inject(WORKSHOP) private readonly workshop: Workshop,
  ) {}

  onApplicationBootstrap(): void {
    const { prefetch, role } = this.workshop.settings;
    if (role !== 'consumer') return;
    const messages = this.messaging.receive<WorkBody>({ route: ROUTE, prefetch });
    for (let loop = 0; loop < prefetch; loop++) void this.loop(messages);
  }

  private async loop(messages: AsyncIterable<ReceivedMessage<WorkBody>>): Promise<void> {
    for await (const message of messages) {
      await work(this.workshop, message.payload, message).then(
        () => message.ack(),
        (error: Error) => message.nack(error),
      );
    }
  }
}

/** What comes on the second route only works. */
@Injectable()
export class SideHandler {
  constructor(@Inject(WORKSHOP) private readonly workshop: Workshop) {}

  @Subscribe(SIDE_ROUTE)
  handle({ key, n }: WorkBody, { id, attempt }: MessageContext): void {
    const { journal } = this.workshop;
    journal.write({ e: 'start', id, attempt, ...(key !== undefined && { key, n }) });
    journal.write({ e: 'end', id, attempt });
  }
}
