/** Branded number types for indices and ids that are easily confused: the compiler rejects one in place of another. */
declare const brand: unique symbol;
type Branded<Name extends string> = number & { readonly [brand]: Name };

/** Index of a transformer layer, 0 .. layerCount-1. */
export type LayerIndex = Branded<'LayerIndex'>;
/** Index of an expert within its layer, 0 .. expertCount-1. */
export type ExpertIndex = Branded<'ExpertIndex'>;
/** Number of an expert within the whole model: layer * expertCount + expert index. */
export type ExpertId = Branded<'ExpertId'>;
/** Index of a fixed GPU memory region that holds one expert, 0 .. slotCount-1 of its pool. */
export type SlotIndex = Branded<'SlotIndex'>;
/** Index into the model's vocabulary. */
export type TokenId = Branded<'TokenId'>;
/** Size or offset in bytes. */
export type Bytes = number;

/** Brands a number as a {@link LayerIndex}. */
export const layerIndex = (n: number): LayerIndex => n as LayerIndex;
/** Brands a number as an {@link ExpertIndex}. */
export const expertIndex = (n: number): ExpertIndex => n as ExpertIndex;
/** Numbers an expert of a layer within the whole model. */
export const expertId = (layer: LayerIndex, expert: ExpertIndex, expertCount: number): ExpertId =>
  (layer * expertCount + expert) as ExpertId;
/** Brands a number as a {@link SlotIndex}. */
export const slotIndex = (n: number): SlotIndex => n as SlotIndex;
/** Brands a number as a {@link TokenId}. */
export const tokenId = (n: number): TokenId => n as TokenId;
