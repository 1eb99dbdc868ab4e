import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

@Entity('orders')
export class Order {
  @PrimaryGeneratedColumn('identity', { type: 'int' })
  id!: number;

  @Column('text')
  item!: string;

  @Column('int')
  quantity!: number;

  @Column('boolean', { default: false })
  reserved!: boolean;
}
