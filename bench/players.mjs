import { ClientProcess } from './client-process.mjs';

/** This part of a filled queue passes before the measuring begins: the end of the client's start belongs to it. */
const START_SHARE = 3;

/** Messages under way while a side gets warm: one at a time would be measured before its code is compiled. */
const WARM = 100;

/** How a client plays one round of this kind of task, and gets warm before. */
export function playerOf(task, context) {
  return players[task.kind](task, context);
}

const players = {
  publish(task, { client, place, stage, settings }) {
    const play = async (changes = { durationMs: settings.roundMs }) => {
      await stage.empty(place);
      return client.run({ ...task, ...changes });
    };
    return { play, warmUp: () => play({ durationMs: settings.warmUpMs, inFlight: WARM }) };
  },

  embedded(task, { client, settings }) {
    return {
      play: () => client.run({ ...task, durationMs: settings.roundMs }),
      warmUp: () => client.run({ ...task, durationMs: settings.warmUpMs }),
    };
  },

  /** Its CPU time is that of who asks and of who answers; the parts are beside it. */
  request(task, { client, place, stage, settings, packageDirectory }) {
    const { profile } = settings;
    const label = `${task.name}-${task.side}-answers`.replace(/[^\w]+/g, '-');
    const answering = new ClientProcess({ title: label, path: task.answer }, { packageDirectory, profile, label });
    const asked = `bench.asked.${task.side}.${task.queueType}`;
    const type = (task.side !== 'ours' && task.theirs) || task.queueType;
    const askedQueue = `${place.service}-${task.side}-${type}-asked`;
    const askedQueueOptions = { durable: true, arguments: { 'x-queue-type': type } };
    const whole = { ...task, asked, askedQueue, askedQueueOptions };
    const play = async (changes = { durationMs: settings.roundMs }) => {
      await answering.run(whole);
      const figures = await client.run({ ...whole, ...changes });
      const answeringMicros = (await answering.run(whole)).micros / figures.messages;
      const askingMicros = figures.cpuMicros;
      return { ...figures, cpuMicros: askingMicros + answeringMicros, askingMicros, answeringMicros };
    };
    const end = async () => {
      await answering.end();
      await stage.load.deleteQueues(task.side === 'ours' ? [`${place.service}-asked:${asked}:queue`] : [askedQueue]);
    };
    return { play, warmUp: () => play({ durationMs: settings.warmUpMs, inFlight: WARM }), end };
  },

  consume(task, { client, place, stage, settings }) {
    let count = task.prefetch === 1 ? 500 : 5_000;
    const play = async (changes = { count }) => {
      await stage.fill(place, changes.count, task.envelope);
      return client.run({ ...task, skip: Math.round(changes.count / START_SHARE), ...changes });
    };
    const warmUp = async () => {
      await play({ count: settings.warmUpMs * 10, prefetch: WARM });
      const { perSecond } = await play();
      count = Math.round(Math.min(stage.most, (perSecond * settings.roundMs) / 1_000));
    };
    return { play, warmUp };
  },

  paced(task, { client, place, stage, settings }) {
    const count = Math.round((task.perSecond * settings.roundMs) / 1_000);
    const play = async () => {
      await stage.empty(place);
      const pace = () => void stage.pace(place, count, task.perSecond, task.envelope);
      return client.run({ ...task, count, skip: Math.round(count / 10) }, pace);
    };
    const warmUp = async () => {
      const many = settings.warmUpMs * 10;
      await stage.fill(place, many, task.envelope);
      await client.run({ ...task, kind: 'consume', count: many, skip: settings.warmUpMs });
    };
    return { play, warmUp };
  },
};
