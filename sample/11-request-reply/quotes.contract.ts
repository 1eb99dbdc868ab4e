import { request } from 'nestjs-messaging/request';

export interface Ask {
  readonly item: string;
}
export interface Quote {
  readonly price: number;
}

/** What is asked and what is answered, for both sides. */
export const quote = request<Ask, Quote>('quote');
