// The same model from a terminal and from Python.

import { html, useState } from "../lib/preact.js";
import { Copy } from "../parts/room.js";

/** @param {{about: any, model: any}} props */
export function Snippets({ about, model }) {
  const [shown, setShown] = useState("curl");
  const base = `${location.origin}/v1`;
  const name = model?.name ?? "NAME_OF_THE_MODEL";
  const key = about.key_needed ? "YOUR_KEY" : "none";
  const texts = {
    curl: `curl ${base}/chat/completions \\
  -H "Content-Type: application/json" \\${about.key_needed ? `\n  -H "Authorization: Bearer ${key}" \\` : ""}
  -d '{"model": "${name}", "messages": [{"role": "user", "content": "Hello"}]}'`,
    python: `from openai import OpenAI

client = OpenAI(base_url="${base}", api_key="${key}")
answer = client.chat.completions.create(
    model="${name}",
    messages=[{"role": "user", "content": "Hello"}],
)
print(answer.choices[0].message.content)`,
  };
  const text = texts[/** @type {"curl" | "python"} */ (shown)];
  return html`<section class="room" id="api" aria-labelledby="api-title"><h2 id="api-title">Use it from your own program</h2>
    <p class="says">The server implements the OpenAI API, so any client for that API can use your model.</p>
    <div class="snippet"><div class="snippet-head"><div class="chips" role="group" aria-label="Language">
      ${Object.keys(texts).map((name) => html`<button type="button" class="chip" key=${name} aria-pressed=${shown === name} onClick=${() => setShown(name)}>${name}</button>`)}
    </div><${Copy} text=${text} /></div><pre class="code" tabindex="0">${text}</pre></div></section>`;
}
