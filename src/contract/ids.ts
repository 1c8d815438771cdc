/** Numbers that are easily confused are branded, so that the compiler tells them apart. */
declare const brand: unique symbol;
type Branded<Name extends string> = number & { readonly [brand]: Name };

/** Index of a transformer layer, 0 .. layerCount-1. */
export type LayerIndex = Branded<'LayerIndex'>;
/** Index of an expert within its layer, 0 .. expertCount-1. */
export type ExpertIndex = Branded<'ExpertIndex'>;
/** Number of an expert in the whole model: layer * expertCount + index. */
export type ExpertId = Branded<'ExpertId'>;
/** Index of a fixed GPU region that holds one expert, 0 .. slots of its pool - 1. */
export type SlotIndex = Branded<'SlotIndex'>;
/** Index into the model's vocabulary. */
export type TokenId = Branded<'TokenId'>;
/** A size or an offset in bytes. */
export type Bytes = number;

export const layerIndex = (n: number): LayerIndex => n as LayerIndex;
export const expertIndex = (n: number): ExpertIndex => n as ExpertIndex;
export const expertId = (layer: LayerIndex, expert: ExpertIndex, expertCount: number): ExpertId =>
  (layer * expertCount + expert) as ExpertId;
export const slotIndex = (n: number): SlotIndex => n as SlotIndex;
export const tokenId = (n: number): TokenId => n as TokenId;
