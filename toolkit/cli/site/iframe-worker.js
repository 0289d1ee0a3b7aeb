// The search of the site runs in a worker, which browsers refuse to pages that are read as files.
// There, an empty frame does its work: it runs the worker's script and passes on its messages.
"use strict";

class IFrameWorker extends EventTarget {
  constructor(address) {
    super();
    const frame = document.createElement("iframe");
    frame.hidden = true;
    this.inside = new Promise((resolve) => {
      frame.addEventListener("load", () => {
        const inside = frame.contentWindow;
        const run = (script) =>
          new Promise((done) => {
            const element = inside.document.createElement("script");
            element.src = script;
            element.addEventListener("load", done, { once: true });
            inside.document.body.append(element);
          });
        inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
        inside.importScripts = (...scripts) =>
          scripts.reduce((before, script) => before.then(() => run(script)), Promise.resolve());
        run(new URL(address, location.href).href).then(() => resolve(inside));
      }, { once: true });
    });
    this.frame = frame;
    document.body.append(frame);
  }

  postMessage(data) {
    this.inside.then((inside) =>
      inside.dispatchEvent(new inside.MessageEvent("message", { data })),
    );
  }

  terminate() {
    this.frame.remove();
  }
}

if (location.protocol === "file:") {
  window.IFrameWorker = IFrameWorker;
  window.Worker = IFrameWorker;
}
