// In the audio thread: the microphone's sound, low-passed and resampled to 16 kHz, as 16-bit samples
// in pieces of 20 ms. Browsers run at the device's own rate (Firefox cannot do otherwise).
const RATE = 16000;
const PIECE = 320;
const HALF = 24;  // taps on either side

class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.ratio = sampleRate / RATE;
    this.cutoff = Math.min(1, 0.92 / this.ratio);
    this.past = new Float32Array(2 * HALF);  // what the filter still needs
    this.at = HALF;  // where in it the next sample is, in input samples
    this.piece = new Int16Array(PIECE);
    this.filled = 0;
  }

  process(inputs) {
    const channels = inputs[0];
    if (!channels.length) return true;
    const fresh = channels[0].length;
    const sound = new Float32Array(this.past.length + fresh);
    sound.set(this.past);
    for (const channel of channels) {
      for (let i = 0; i < fresh; i += 1) sound[this.past.length + i] += channel[i] / channels.length;
    }
    while (this.at + HALF < sound.length) {
      this.add(this.filtered(sound, this.at));
      this.at += this.ratio;
    }
    const gone = Math.floor(this.at) - HALF;
    this.past = sound.slice(gone);
    this.at -= gone;
    return true;
  }

  // A windowed sinc (Hann) about the fractional position `at`.
  filtered(sound, at) {
    const first = Math.ceil(at - HALF);
    let sum = 0;
    for (let i = first; i < at + HALF; i += 1) {
      const x = i - at;
      const phase = Math.PI * x * this.cutoff;
      const sinc = Math.abs(phase) < 1e-6 ? 1 : Math.sin(phase) / phase;
      sum += sound[i] * sinc * this.cutoff * (0.5 + 0.5 * Math.cos(Math.PI * x / HALF));
    }
    return sum;
  }

  add(sample) {
    this.piece[this.filled] = Math.round(32767 * Math.max(-1, Math.min(1, sample)));
    this.filled += 1;
    if (this.filled === PIECE) {
      this.port.postMessage(this.piece.buffer, [this.piece.buffer]);
      this.piece = new Int16Array(PIECE);
      this.filled = 0;
    }
  }
}

registerProcessor('microphone', Microphone);
