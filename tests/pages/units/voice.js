import { Voice } from "/displays/voice.js";
import { ok, same } from "./check.js";

// A browser's speech: says what it is given, in its time; `fate` decides how each utterance ends.
function speech(voices, fate = () => "end") {
  const said = [];
  let speaking = 0;
  const fake = {
    getVoices: () => voices,
    speak(utterance) {
      ok(speaking === 0, "two at once");
      speaking += 1;
      said.push(`${utterance.voice.lang}: ${utterance.text}`);
      const error = fate(utterance);
      setTimeout(() => {
        speaking -= 1;
        if (error === "end") utterance.onend();
        else utterance.onerror({ error });
      });
    },
    cancel() {},
  };
  Object.defineProperty(window, "speechSynthesis", { value: fake, configurable: true });
  window.SpeechSynthesisUtterance = class {
    constructor(text) { this.text = text; }
  };
  return said;
}

const TEXTS = { zh: "请 A 一 号到1号窗口", en: "Ticket A 1" };
const [ZH, EN] = [{ lang: "zh-CN" }, { lang: "en-GB" }];

export const tests = {
  async "the Chinese voice says the Chinese text"() {
    const said = speech([EN, ZH]);
    await new Voice(["zh"]).say(TEXTS);
    same(said, ["zh-CN: 请 A 一 号到1号窗口"]);
  },
  async "two languages one after the other"() {
    const said = speech([EN, ZH]);
    await new Voice(["zh", "en"]).say(TEXTS);
    same(said, ["zh-CN: 请 A 一 号到1号窗口", "en-GB: Ticket A 1"]);
  },
  async "a language without a voice is left out, never read by another's voice"() {
    const said = speech([EN]);
    await new Voice(["zh", "en"]).say(TEXTS);
    same(said, ["en-GB: Ticket A 1"]);
  },
  async "without any voice it comes back all the same"() {
    same(speech([]), []);
    await new Voice(["zh"]).say(TEXTS);
  },
  async "a silent screen says nothing"() {
    const said = speech([ZH]);
    await new Voice([]).say(TEXTS);
    same(said, []);
  },
  async "speech that is not allowed is told, and a touch mends it"() {
    let error = "not-allowed";
    speech([ZH], () => error);
    const voice = new Voice(["zh"]);
    await voice.say(TEXTS);
    ok(voice.blocked, "blocked");
    voice.unlock();
    ok(!voice.blocked, "unlocked");
    error = "end";
    await voice.say(TEXTS);
    ok(!voice.blocked, "still unlocked");
  },
};
