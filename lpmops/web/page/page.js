/* Around textual.js: where its websocket is, its font before its first letter, and what the person sees when the connection ends.

   A terminal that no longer moves must never look alive: what ends it is told over it, and where it may come back it does so by itself. */
"use strict";
(() => {
  const LEFT = 4000, FULL = 4001, NEVER_OPENED = 4002;
  const SILENCE = 20_000; // The server answers "alive" at once; after this long nobody is there.
  const ASK = 5_000;
  const BRIEF = 5_000; // A window that lived no longer is not opened anew by itself again and again.
  const MOST_BRIEF = 3;
  const opened = Date.now();
  let words = "";
  let over = false;

  const terminal = () => document.querySelector("#terminal");

  function show(text, button) {
    document.querySelector("#words").textContent = text;
    const again = document.querySelector("#again");
    again.textContent = button;
    again.onclick = () => location.reload();
    document.querySelector("#notice").hidden = false;
    again.focus();
  }

  // Reload once the server answers: with the app, or with the question for the token.
  function comeBack(text, wait) {
    show(text, "Try now");
    const ask = async () => {
      try {
        const answer = await fetch("/alive", { cache: "no-store" });
        if (answer.status === 204 || answer.status === 401) return location.reload();
      } catch {
        // Not there yet.
      }
      setTimeout(ask, Math.min(wait * 1.5, 5_000));
    };
    setTimeout(ask, wait);
  }

  function mayComeBack() {
    const brief = Date.now() - opened < BRIEF ? Number(sessionStorage.getItem("brief") || 0) + 1 : 0;
    sessionStorage.setItem("brief", String(brief));
    return brief <= MOST_BRIEF;
  }

  function end(code) {
    if (over) return;
    over = true;
    if (code === LEFT) show(words, "Open again");
    else if (code === NEVER_OPENED) show(words, "Try again");
    else if (code === FULL) comeBack(`${words} This window opens when there is room.`, 2_000);
    else if (mayComeBack()) comeBack(words || "The connection to lpmops was lost. It comes back here when it can.", 500);
    else show(words || "The connection to lpmops was lost.", "Try again");
  }

  // textual.js keeps its socket to itself, and says nothing about how it closed; so each socket of this page is watched from its making.
  const Plain = window.WebSocket;
  window.WebSocket = class extends Plain {
    constructor(url, protocols) {
      super(url, protocols);
      let unanswered = 0; // Since when; a page in the background asks seldom, and its own pauses are no silence.
      const asking = setInterval(() => {
        if (unanswered && Date.now() - unanswered > SILENCE) {
          end(0);
          this.close();
        } else if (!unanswered && this.readyState === Plain.OPEN) {
          unanswered = Date.now();
          this.send('["alive"]');
        }
      }, ASK);
      this.addEventListener("message", (event) => {
        unanswered = 0;
        if (typeof event.data !== "string") return;
        const [kind, said] = JSON.parse(event.data);
        if (kind === "lpmops") words = said.words;
      });
      this.addEventListener("close", (event) => {
        clearInterval(asking);
        end(event.code);
      });
    }
  };

  // The terminal measures its cells when it opens, so the font must be there before.
  const open = window.onload;
  window.onload = async (event) => {
    const fonts = ["16px", "bold 16px", "italic 16px"].map((style) => document.fonts.load(`${style} "Roboto Mono"`));
    await Promise.race([Promise.allSettled(fonts), new Promise((done) => setTimeout(done, 2_000))]);
    const size = Number(new URLSearchParams(location.search).get("fontsize"));
    terminal().dataset.sessionWebsocketUrl = `${location.protocol.replace("http", "ws")}//${location.host}/ws`;
    terminal().dataset.fontSize = String(size >= 6 && size <= 60 ? size : 16);
    open(event);
    terminal().querySelector("textarea").focus();
  };
})();
