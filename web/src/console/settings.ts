/** The settings of an upload as a person chooses them. */

import type { CompressionInput, ImageFormat, OutputInput, UploadCsvInput } from '../gql/graphql';
import half from './presets/half.webp';
import same from './presets/same.webp';
import smaller from './presets/smaller.webp';

export type Kind = 'quality' | 'targetRatio' | 'minScore' | 'maxBytes' | 'relativeQuality' | 'lossless';

export interface Choice {
  kind: Kind;
  value: number;
  format: '' | ImageFormat;
  maxWidth: string;
  maxHeight: string;
  keepCopyright: boolean;
  progressive: boolean;
  rejectInvalid: boolean;
  label: string;
  webhookUrl: string;
}

export const DEFAULTS: Choice = {
  kind: 'quality',
  value: 50,
  format: '',
  maxWidth: '',
  maxHeight: '',
  keepCopyright: false,
  progressive: false,
  rejectInvalid: false,
  label: '',
  webhookUrl: '',
};

/** What was made of one photo of 156,195 bytes: a detail at twice its size, and the bytes of the whole. */
interface Example {
  picture: string;
  byteSize: number;
}

export const EXAMPLE_BYTES = 156_195;

export const PRESETS: { title: string; about: string; kind: Kind; value: number; example: Example }[] = [
  {
    title: 'Smaller files',
    about: 'Encoder quality 50. You can see a loss if you look for it.',
    kind: 'quality',
    value: 50,
    example: { picture: smaller, byteSize: 73_779 },
  },
  {
    title: 'Half the size',
    about: 'The best quality that takes at most half the bytes.',
    kind: 'targetRatio',
    value: 0.5,
    example: { picture: half, byteSize: 77_910 },
  },
  {
    title: 'Looks the same',
    about: 'The smallest file that scores 85 or more: hard to tell from the original.',
    kind: 'minScore',
    value: 85,
    example: { picture: same, byteSize: 125_318 },
  },
];

/** How each kind of target is entered: its value in the form times `scale` is that of the API. */
export const KINDS: Record<
  Kind,
  { label: string; unit: string; min: number; max: number; step: number; initial: number; scale: number }
> = {
  quality: { label: 'Encoder quality', unit: '1–100', min: 1, max: 100, step: 1, initial: 50, scale: 1 },
  relativeQuality: {
    label: 'Share of the source’s own quality',
    unit: '%',
    min: 1,
    max: 100,
    step: 1,
    initial: 50,
    scale: 0.01,
  },
  targetRatio: {
    label: 'Largest share of the source’s bytes',
    unit: '%',
    min: 1,
    max: 100,
    step: 1,
    initial: 50,
    scale: 0.01,
  },
  maxBytes: { label: 'Largest file', unit: 'kB', min: 1, max: 1_000_000, step: 1, initial: 200, scale: 1000 },
  minScore: { label: 'Lowest score', unit: '0–100', min: 1, max: 100, step: 1, initial: 85, scale: 1 },
  lossless: { label: 'Lossless: identical pixels', unit: '', min: 1, max: 1, step: 1, initial: 1, scale: 1 },
};

/** What is made of each image. */
export function compression(choice: Choice): { compression: CompressionInput; output: OutputInput } {
  return {
    compression: (choice.kind === 'lossless'
      ? { lossless: true }
      : { [choice.kind]: choice.value }) as CompressionInput,
    output: {
      format: choice.format || undefined,
      maxWidth: choice.maxWidth ? Number(choice.maxWidth) : undefined,
      maxHeight: choice.maxHeight ? Number(choice.maxHeight) : undefined,
      keepCopyright: choice.keepCopyright,
      progressive: choice.progressive,
    },
  };
}

export function input(file: File, choice: Choice, idempotencyKey: string): UploadCsvInput {
  return {
    file,
    ...compression(choice),
    onInvalidRow: choice.rejectInvalid ? 'REJECT_FILE' : 'SKIP_ROW',
    label: choice.label || undefined,
    webhookUrl: choice.webhookUrl || undefined,
    idempotencyKey,
  };
}
