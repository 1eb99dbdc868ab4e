export interface Order {
  readonly id: number;
  readonly item: string;
}

export interface Question {
  readonly item: string;
}

export interface Price {
  readonly price: number;
}

/** What stays the same in every step. */
export const url = process.env.AMQP_URL ?? 'amqp://localhost';
export const config = { uri: url, exchanges: [{ name: 'shop', type: 'topic' }] };

const packed = new Map<number, () => void>();

export function pack({ id, item }: Order): void {
  console.log(`packed order ${id}: ${item}`);
  packed.get(id)?.();
}

export function isPacked(id: number): Promise<void> {
  return new Promise((resolve) => packed.set(id, resolve));
}

export function priceOf({ item }: Question): Price {
  return { price: item.length };
}
