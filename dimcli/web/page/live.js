// The live listener: what the camera and the microphone have goes out, pictures of the face come in.
// It speaks what examples/stream-api.md describes.
import { Faces, addGains, element, gainsOf, make, say, takesFiles } from './parts.js';
import { refresh } from './make.js';

const SOUND = 1, PICTURE = 2, FACE = 4;  // kinds of what goes out
const HEAD_BYTES = 16;
const CAMERA_WIDTH = 480, CAMERA_MS = 45;  // at most 22 pictures a second
const BACKLOG_BYTES = 400000;  // pictures are left out when the network is that far behind

let faces;
let talk = null;  // the conversation that goes on
let muted = false, cameraOff = false;

export function startLive(status) {
  faces = new Faces('live', status.faces, changeFace);
  takesFiles(element('stage'), null, file => faces.own(file));
  addGains(element('gains'), sendSettings);
  element('attitude').addEventListener('change', sendSettings);
  element('start').addEventListener('click', () => (talk ? talk.end() : begin()));
  press('mute', on => {
    muted = on;
  });
  press('camera', on => {
    cameraOff = on;
    talk?.cameraChanged();
  });
  press('record', on => talk?.send({ type: 'record', on, camera: talk.seesYou }));
  element('start').disabled = false;  // a press before now would be lost
  still();
}

function press(id, then) {
  element(id).addEventListener('click', () => {
    const on = element(id).getAttribute('aria-pressed') !== 'true';
    pressed(id, on);
    then(on);
  });
}

const pressed = (id, on) => element(id).setAttribute('aria-pressed', on);

function settings() {
  const said = { attitude: document.querySelector('input[name=attitude]:checked').value };
  return { ...said, ...gainsOf(element('gains')) };
}

function sendSettings() {
  talk?.send({ type: 'settings', ...settings() });
}

// The chosen picture, before anybody listens.
async function still() {
  const picture = new Image();
  picture.src = faces.picture;
  await picture.decode().catch(() => {});
  if (!talk && picture.naturalWidth) draw(picture, picture.naturalWidth, picture.naturalHeight);
}

function draw(picture, width, height) {
  const canvas = element('face');
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  canvas.getContext('2d').drawImage(picture, 0, 0);
}

async function changeFace(value) {
  if (!talk) return still();
  talk.sendFace(await faceBytes(value));
}

async function faceBytes(value) {
  if (value instanceof File) return value.arrayBuffer();
  return (await fetch(`faces/${value}.jpg`)).arrayBuffer();
}

async function begin() {
  element('start').disabled = true;
  say('live-said', 'Asking for the camera and the microphone ...');
  const stream = await hardware();
  element('start').disabled = false;
  if (!stream) return;
  talk = new Talk(stream);
  element('start').textContent = 'Stop';
  element('hint').hidden = true;
}

// Camera and microphone; only the microphone where there is no camera.
async function hardware() {
  if (!navigator.mediaDevices) {
    say('live-said', 'Browsers give camera and microphone only to https pages and to this machine’s own '
      + 'address: open it as localhost, or through a tunnel.', true);
    return null;
  }
  const audio = { echoCancellation: true, noiseSuppression: false, autoGainControl: true };
  const video = { width: 640, height: 480, frameRate: { ideal: 25 }, facingMode: 'user' };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio, video });
  } catch {
    try {
      return await navigator.mediaDevices.getUserMedia({ audio });
    } catch (error) {
      say('live-said', `No microphone: ${error.message}. Allow it in the address bar.`, true);
      return null;
    }
  }
}

class Talk {
  constructor(stream) {
    this.stream = stream;
    this.camera = stream.getVideoTracks()[0] || null;
    this.arrived = [];  // when the last pictures came
    this.clock = null;  // what to add to our clock to have the conversation's
    this.frames = 0;
    this.socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/stream`);
    this.socket.binaryType = 'arraybuffer';
    this.socket.onopen = () => this.opened();
    this.socket.onmessage = event => this.received(event.data);
    this.socket.onclose = event => this.closed(event);
    element('self').srcObject = this.camera ? stream : null;
    element('self').play().catch(() => {});
    this.cameraChanged();
    say('live-said', 'Starting ...');
  }

  get open() {
    return this.socket.readyState === WebSocket.OPEN;
  }

  get seesYou() {
    return this.camera !== null && !cameraOff;
  }

  send(message) {
    if (this.open) this.socket.send(JSON.stringify(message));
  }

  sendBytes(kind, buffer) {
    const bytes = new Uint8Array(1 + buffer.byteLength);
    bytes[0] = kind;
    bytes.set(new Uint8Array(buffer), 1);
    this.socket.send(bytes);
  }

  sendFace(buffer) {
    if (this.open) this.sendBytes(FACE, buffer);
  }

  async opened() {
    const own = faces.value instanceof File;
    if (own) this.sendFace(await faceBytes(faces.value));
    this.send({
      type: 'start', picture: own ? null : faces.value, frames: true, motion: 'none', size: 512,
      seed: Math.floor(Math.random() * 1e6), ...settings(),
    });
  }

  async received(data) {
    if (data instanceof ArrayBuffer) return this.show(data);
    const message = JSON.parse(data);
    if (message.type === 'ready') await this.ready();
    if (message.type === 'pong') this.heardClock(message);
    if (message.type === 'note') say('live-said', message.text, true);
    if (message.type === 'recording') {
      // the end of one that was still being written is not the end of the next
      if (message.on) this.recording = message.id;
      if (message.on || message.id === this.recording) pressed('record', message.on);
      refresh();
    }
    if (message.type === 'figures') this.tell(message);
  }

  async ready() {
    say('live-said', this.camera ? 'It listens.' : 'It listens; there is no camera, so it hears you only.');
    for (const id of ['mute', 'camera', 'record']) element(id).disabled = id === 'camera' && !this.camera;
    this.pinging = setInterval(() => this.ping(), 2000);
    this.ping();
    this.lookAtYou();
    await this.listenToYou();
  }

  async listenToYou() {
    this.audio = new AudioContext();
    await this.audio.audioWorklet.addModule('microphone.js');
    const microphone = new AudioWorkletNode(this.audio, 'microphone', { numberOfOutputs: 0 });
    microphone.port.onmessage = event => {
      if (this.open && !muted) this.sendBytes(SOUND, event.data);
    };
    this.audio.createMediaStreamSource(this.stream).connect(microphone);
    await this.audio.resume();
  }

  lookAtYou() {
    const canvas = make('canvas');
    const video = element('self');
    this.looking = setInterval(() => {
      if (!this.seesYou || !video.videoWidth || !this.open || this.coding) return;
      if (this.socket.bufferedAmount > BACKLOG_BYTES) return;
      canvas.width = CAMERA_WIDTH;
      canvas.height = Math.round(CAMERA_WIDTH * video.videoHeight / video.videoWidth);
      canvas.getContext('2d').drawImage(video, 0, 0, canvas.width, canvas.height);
      this.coding = true;
      canvas.toBlob(async blob => {
        if (blob && this.open && this.seesYou) this.sendBytes(PICTURE, await blob.arrayBuffer());
        this.coding = false;
      }, 'image/jpeg', 0.8);
    }, CAMERA_MS);
  }

  cameraChanged() {
    if (this.camera) this.camera.enabled = !cameraOff;
    element('self').hidden = !this.seesYou;
    if (!this.seesYou) this.send({ type: 'camera', on: false });
  }

  ping() {
    this.send({ type: 'ping', id: performance.now() });
  }

  heardClock(message) {
    const now = performance.now();
    if (message.time_s !== null) this.clock = 1000 * message.time_s - (message.id + now) / 2;
  }

  // Where pictures come faster than this browser draws, the newest is the next.
  async show(data) {
    if (this.showing) {
      this.waiting = data;
      return;
    }
    this.showing = true;
    await this.showNow(data);
    this.showing = false;
    if (this.waiting) {
      const next = this.waiting;
      this.waiting = null;
      this.show(next);
    }
  }

  async showNow(data) {
    const time = new DataView(data).getFloat64(8, true);
    const picture = await createImageBitmap(new Blob([data.slice(HEAD_BYTES)], { type: 'image/jpeg' }));
    if (talk !== this) return;
    draw(picture, picture.width, picture.height);
    picture.close();
    const now = performance.now();
    this.frames += 1;
    element('face').dataset.frames = this.frames;
    this.arrived.push([now, this.clock === null ? null : now + this.clock - 1000 * time]);
    while (this.arrived[0][0] < now - 2000) this.arrived.shift();
  }

  tell() {
    const recent = this.arrived;
    if (recent.length < 2) return;
    const span = recent[recent.length - 1][0] - recent[0][0];
    const late = recent.map(each => each[1]).filter(each => each !== null);
    element('rate').textContent = `${(1000 * (recent.length - 1) / span).toFixed(0)} fps`;
    if (late.length) {
      element('latency').textContent = `${Math.round(late.reduce((a, b) => a + b) / late.length)} ms`;
    }
  }

  end() {
    this.send({ type: 'stop' });
    this.socket.close();
  }

  closed(event) {
    clearInterval(this.pinging);
    clearInterval(this.looking);
    this.audio?.close();
    for (const track of this.stream.getTracks()) track.stop();
    element('self').srcObject = null;
    element('self').hidden = true;
    for (const id of ['mute', 'camera', 'record']) element(id).disabled = true;
    pressed('record', false);
    element('start').textContent = 'Start';
    element('rate').textContent = element('latency').textContent = '';
    talk = null;
    const ended = event.code === 1000 || event.code === 1005;
    say('live-said', ended ? '' : `Ended: ${event.reason || 'the connection was lost'}.`, !ended);
    element('hint').hidden = false;
    refresh();
  }
}
