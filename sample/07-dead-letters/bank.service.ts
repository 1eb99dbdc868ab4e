import { Injectable } from '@nestjs/common';

/** Somebody else's system, which is closed now and then. */
@Injectable()
export class Bank {
  open = false;
  /** Cents by the id of the payment: a payment that comes twice is booked once. */
  private readonly booked = new Map<string, number>();

  book(id: string, cents: number): void {
    if (!this.open) throw new BankClosedError('The bank is closed');
    this.booked.set(id, cents);
  }

  get state(): { open: boolean; booked: number; cents: number } {
    const cents = [...this.booked.values()].reduce((sum, one) => sum + one, 0);
    return { open: this.open, booked: this.booked.size, cents };
  }
}

export class BankClosedError extends Error {
  override readonly name = 'BankClosedError';
}
