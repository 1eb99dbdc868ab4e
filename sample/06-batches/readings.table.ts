import { Injectable } from '@nestjs/common';
import type { Reading } from './reading.js';

export interface Row extends Reading {
  readonly id: string;
}

/** Stands for a table of a database: one insert takes many rows, and those of an id that is there change nothing. */
@Injectable()
export class ReadingsTable {
  private readonly rows = new Map<string, Row>();
  private inserts = 0;
  private largest = 0;

  /** Which of the rows were refused, by their id, and why; the others are in. */
  insertMany(rows: readonly Row[]): Map<string, string> {
    this.inserts++;
    this.largest = Math.max(this.largest, rows.length);
    const refused = new Map<string, string>();
    for (const row of rows) {
      if (row.celsius < -90 || row.celsius > 60) refused.set(row.id, `${row.celsius} °C is out of range`);
      else this.rows.set(row.id, row);
    }
    return refused;
  }

  statistics(): { rows: number; inserts: number; largest: number } {
    return { rows: this.rows.size, inserts: this.inserts, largest: this.largest };
  }
}
