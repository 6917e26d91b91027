// Web components that any page of twofold may use. They make no request and keep all text as text.

// <copy-button for="ID">: copies the text of the element with this id, and says so.
customElements.define("copy-button", class extends HTMLElement {
  connectedCallback() {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = this.getAttribute("label") || "Copy";
    button.addEventListener("click", () => this.copy(button));
    this.replaceChildren(button);
  }

  async copy(button) {
    const source = document.getElementById(this.getAttribute("for"));
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "Copied";
    } catch {  // a page opened from a disk may not have the clipboard: the text is selected instead
      const range = document.createRange();
      range.selectNodeContents(source);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      button.textContent = "Selected: press Ctrl+C";
    }
  }
});

// <page-dialog>: a dialog with a title, a close button and a body. `show(title, ...nodes)` opens it.
customElements.define("page-dialog", class extends HTMLElement {
  connectedCallback() {
    this.dialog = document.createElement("dialog");
    const head = document.createElement("div"), close = document.createElement("button");
    this.heading = document.createElement("h2");
    this.body = document.createElement("div");
    this.heading.id = "dialog-title";
    head.className = "dialog-head";
    close.type = "button";
    close.textContent = "Close";
    close.addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("click", event => { if (event.target === this.dialog) this.dialog.close(); });
    this.dialog.setAttribute("aria-labelledby", "dialog-title");
    head.append(this.heading, close);
    this.dialog.append(head, this.body);
    this.replaceChildren(this.dialog);
  }

  show(title, ...nodes) {
    this.heading.textContent = title;
    this.body.replaceChildren(...nodes);
    if (!this.dialog.open) this.dialog.showModal();
  }
});
