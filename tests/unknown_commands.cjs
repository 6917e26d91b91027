// Loaded into Playwright's driver: a command of WebDriver BiDi that an older Firefox does not know is answered as if it did nothing.
// Firefox 140 lacks five that Playwright sends at the start (response bodies, downloads, screen, colour scheme); the tests need none.
const parse = JSON.parse;
JSON.parse = (...given) => {
  const message = parse(...given);
  const unknown = message?.type === "error" && message.error === "unknown command";
  return unknown ? { type: "success", id: message.id, result: {} } : message;
};
