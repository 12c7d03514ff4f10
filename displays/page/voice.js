// The browser's voice. Says one announcement at a time and always comes back, also when the browser's speech is
// missing, blocked or hangs; where there is no Chinese voice two soft tones ask people to look up.

const HANGS_MS = 20000;
const PAUSE_MS = 1200;

export class Voice {
  #audio = null;
  #languages;

  // `languages`: which of zh, en to say, in that order; none = silent.
  constructor(languages = ["zh"]) {
    this.#languages = languages;
    this.blocked = false; // the browser wants a touch first
    speechSynthesisOf()?.getVoices(); // asks for the list, which comes later
  }

  // A touch anywhere allows sound from then on; screens without hands start their browser with a policy that does.
  unlock() {
    this.blocked = false;
    this.#audio?.resume();
  }

  // `texts`: {zh, en}. Resolves when it has been said, or could not be.
  async say(texts) {
    if (!this.#languages.length) return;
    const voices = speechSynthesisOf()?.getVoices() ?? [];
    const spoken = this.#languages.map((language) => ({
      text: texts[language], voice: voices.find((voice) => voice.lang.toLowerCase().startsWith(language)),
    })).filter(({ voice }) => voice);
    if (!spoken.length) {
      await this.#chime();
      return;
    }
    for (const { text, voice } of spoken) await this.#speak(text, voice);
  }

  #speak(text, voice) {
    return new Promise((resolve) => {
      const utterance = new SpeechSynthesisUtterance(text);
      Object.assign(utterance, { voice, lang: voice.lang, rate: 0.9 });
      const guard = setTimeout(() => {
        speechSynthesis.cancel();
        resolve();
      }, HANGS_MS);
      const over = () => {
        clearTimeout(guard);
        resolve();
      };
      utterance.onend = over;
      utterance.onerror = (event) => {
        if (event.error === "not-allowed") this.blocked = true;
        over();
      };
      speechSynthesis.speak(utterance);
    });
  }

  async #chime() {
    this.#audio ??= new AudioContext();
    const stopped = new Promise((resolve) => setTimeout(resolve, 200)); // resume waits for a touch, we do not
    await Promise.race([this.#audio.resume(), stopped]);
    this.blocked = this.#audio.state !== "running";
    if (!this.blocked) {
      const start = this.#audio.currentTime;
      [660, 520].forEach((pitch, i) => {
        const tone = this.#audio.createOscillator();
        const level = this.#audio.createGain();
        tone.frequency.value = pitch;
        level.gain.setValueAtTime(0.2, start + i * 0.45);
        level.gain.exponentialRampToValueAtTime(0.001, start + i * 0.45 + 0.6);
        tone.connect(level).connect(this.#audio.destination);
        tone.start(start + i * 0.45);
        tone.stop(start + i * 0.45 + 0.6);
      });
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

function speechSynthesisOf() {
  return "speechSynthesis" in window ? window.speechSynthesis : null;
}
