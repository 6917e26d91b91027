// What both pages share: requests with the token, and messages.

const token = document.querySelector('meta[name="token"]').content;

export const element = (id) => document.getElementById(id);

export async function request(path, body) {
  const options = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  options.headers = { "x-twofold-token": token };
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer: it was ended. Every confirmed decision is in the file.");
  }
  const value = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(value.error ?? `The server answered ${response.status}.`);
  return value;
}

export function tell(text) {
  element("message").textContent = text;
  element("message").hidden = !text;
}

// What is asked for while the server is at work on something else waits for it, so that answers arrive in order.
let last = Promise.resolve();
export function inOrder(work) {
  last = last.catch(() => {}).then(work);
  return last;
}

export const attempt = (work) => work().catch((error) => tell(error.message));

// After a click the space and enter keys have their meaning again, not that of the button that was clicked.
document.addEventListener("click", (event) => { if (event.detail > 0) document.activeElement?.blur(); });
