/** Figures of the report for people. Pure. */
import type { MeasureRow } from '../../contract/measure-api.ts';

/** @returns three significant digits with the unit, such as `1.23 GB/s`; whole numbers from 1000 on */
export function formatFigure({ value, unit }: Pick<MeasureRow, 'value' | 'unit'>): string {
  const digits =
    Math.abs(value) >= 1000 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)));
  return unit ? `${digits} ${unit}` : digits;
}

/** @returns a whole percentage, or one with a decimal below ten; empty without a share */
export function formatShare({ share }: Pick<MeasureRow, 'share'>): string {
  if (share === undefined) return '';
  return `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
}
