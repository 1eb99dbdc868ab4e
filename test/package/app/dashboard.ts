// Run by scripts/package-matrix.mjs: the dashboard on both platforms of Nest; prints what it found as JSON in its last line.
import 'reflect-metadata';
import { type INestApplication, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { MessagingDashboardModule } from 'nestjs-messaging/dashboard';
import { AppModule } from './app.module.js';

const token = 'a-token-that-is-long-enough-for-tests';
const OWN = { 'content-type': 'application/json', 'sec-fetch-site': 'same-origin', 'x-nestjs-messaging': '1' };

@Module({ imports: [AppModule, MessagingDashboardModule.forRoot({ token })] })
class WithDashboard {}

interface Snapshot {
  readonly overview: { readonly service: string };
  readonly subscriptions: readonly { readonly state: string }[];
}

/** What somebody meets who comes without the token, logs in, looks, and pauses a subscription. */
async function visit(app: INestApplication): Promise<object> {
  await app.listen(0, '127.0.0.1');
  const base = `${await app.getUrl()}/messaging`;
  const call = (method: string, path: string, cookie = ''): Promise<Response> =>
    fetch(base + path, {
      method,
      headers: { connection: 'close', cookie, ...(method === 'POST' && OWN) },
      ...(method === 'POST' && { body: JSON.stringify(path === '/login' ? { token } : {}) }),
    });
  const stranger = (await call('GET', '/api/v1/snapshot')).status;
  const login = await call('POST', '/login');
  const cookie = login.headers.get('set-cookie')?.split(';')[0] ?? '';
  const page = await (await call('GET', '', cookie)).text();
  const script = await call('GET', `/${/src="(app\.js[^"]*)"/.exec(page)?.[1] ?? ''}`, cookie);
  const snapshot = async (): Promise<Snapshot> =>
    (await (await call('GET', '/api/v1/snapshot', cookie)).json()) as Snapshot;
  const before = await snapshot();
  const action = (await call('POST', '/api/v1/subscriptions/order.created/pause', cookie)).status;
  const states = [before, await snapshot()].map(({ subscriptions: [{ state }] }) => state);
  await app.close();
  const { service } = before.overview;
  return { stranger, login: login.status, script: (await script.text()).length > 1_000, service, action, states };
}

async function main(): Promise<void> {
  const logger = ['warn', 'error'] as const;
  const express = await visit(await NestFactory.create(WithDashboard, { logger: [...logger] }));
  const fastify = await visit(await NestFactory.create(WithDashboard, new FastifyAdapter(), { logger: [...logger] }));
  console.log(JSON.stringify({ express, fastify }));
}

void main();
