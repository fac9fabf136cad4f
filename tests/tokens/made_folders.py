"""Tokenizer folders made up from a seed: every part that a folder from elsewhere may have, in any combination."""

# ruff: noqa: E501  (a template is one line)

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from random import Random
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers.pre_tokenizers import ByteLevel

SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LETTERS = list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!?'-<>/|[]_:\n")
WORDS = [
    "the",
    "mill",
    "grinds",
    "rye",
    "water",
    "is",
    "do",
    "not",
    "n't",
    "it's",
    "user",
    "assistant",
    "two",
    "he",
    "er",
]
MERGES = [
    ("t", "h"),
    ("h", "e"),
    ("th", "e"),
    ("m", "i"),
    ("l", "l"),
    ("mi", "ll"),
    ("e", "r"),
    ("u", "s"),
    ("us", "er"),
]
SETS = [
    {"unk": "<unk>", "bos": "<s>", "eos": "</s>", "turn": "</s>"},
    {"unk": "<unk>", "bos": "<s>", "eos": "</s>", "turn": "<|im_end|>"},
    {"unk": "<unk>", "bos": "<|begin|>", "eos": "<|end|>", "turn": "<|eot|>"},
    {"unk": "[UNK]", "bos": "[CLS]", "eos": "[SEP]", "turn": "[SEP]"},
]
ADDED = ["<think>", "</think>", "millrace", "    ", "café", "<tool>", "tail-race", "grinds"]
TEXTS = [
    "hi", "", " ", "the mill grinds rye", " the  mill\n\ngrinds", "It's 12345, isn't it ?", "Käse in München", "水車 turns 😀",
    "millrace feeds the tail-race.", "a<think>b</think> c", "trailing blank ", "\n\tx", "def f():\n        return 1", "café x",
    "do not !", "he said ' hi ' .", "ＦＵＬＬ ﬁ", "Ünïcödé e\u0301", "<tool> grinds <tool>", "x millrace  y", "ABC abc",
]  # fmt: skip
TEMPLATES = [
    "{% for m in messages %}{{ '<' + m.role + '>\n' + m.content + TURN + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<assistant>\n' }}{% endif %}",
    "{{ bos_token }}{% for m in messages %}{% if m.role=='user' %}{{ '[INST] ' + m.content + ' [/INST]' }}{% else %}{{ ' ' + m.content + ' ' + TURN }}{% endif %}{% endfor %}",
    "{%- for m in messages %}{%- set c = m.content %}{%- if m.role == 'assistant' and '</think>' in c %}{%- set c = c.split('</think>')[-1].lstrip('\n') %}{%- endif %}{{- m.role + '\n' + c + TURN + '\n' }}{%- endfor %}{%- if add_generation_prompt %}{{- 'assistant\n<think>\n' }}{%- endif %}",
    "{% for m in messages %}\n    {% if m.content|length > 8 %}{{ m.role|upper }}: {{ m.content|trim }}{{ TURN }}\n    {% endif %}\n{% endfor %}",
    "{% macro turn(m) %}{{ m.role }}|{{ m.content[:10] }}|{{ m.content.replace('the', 'THE') }}{{ TURN }}{% endmacro %}{% for m in messages %}{{ turn(m) }}{% endfor %}",
    "{% for m in messages %}{% if m.content == 'hi' %}{% continue %}{% endif %}{% if loop.index > 3 %}{% break %}{% endif %}{{ m.role ~ ':' ~ m.content ~ TURN }}{% endfor %}{{ '%s!' % messages[0].content }}",
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{{ TURN }}{% endgeneration %}{% else %}{{ m.content|tojson }}{% endif %}{% endfor %}",
    "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + m.content.split()|length %}{{ m.content.split(' ')|join('_') }}{{ TURN }}{% endfor %}{{ ns.n }}",
    "{% for m in messages %}{{ {'role': m.role, 'content': m.content}|tojson(indent=2) }}{{ TURN }}{% endfor %}{% if messages[0].content.startswith('the') %}!{% endif %}",
    "{% set text %}{% for m in messages %}{{ m.content }}\n{% endfor %}{% endset %}{{ text.strip() if 'mill' in text else text|upper }}{{ TURN }}",
    "{% for m in messages %}{{ m.content.upper() if m.role == 'user' else m.content|title }}{{ eos_token }}{{ m.content.splitlines()|first }}{% endfor %}",
    "{% if messages|length > 4 %}{{ raise_exception('too many') }}{% endif %}{% for m in messages|reverse %}{{ m.content.rstrip() }}{{ TURN }}{% endfor %}",
]  # fmt: skip


class Made:
    """A folder and what is known about it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.random = folder, Random(seed)
        self.names = dict(self.random.choice(SETS))
        self.kind = self.random.choice(["bytes", "bytes", "spaces", "spaces", "suffix", "pieces", "unigram", "words"])
        folder.mkdir(parents=True, exist_ok=True)
        self.tokenizer = getattr(self, f"_{self.kind}")()
        self._add_tokens()
        self._add_processor()
        self._write()

    def maybe(self, share: float = 0.5) -> bool:
        return self.random.random() < share

    @property
    def added(self) -> list[AddedToken]:
        return list(self.tokenizer.get_added_tokens_decoder().values())

    # --- models -------------------------------------------------------------------------------------------------------

    @property
    def specials(self) -> list[str]:
        return list(dict.fromkeys(self.names.values()))

    def _vocabulary(self, symbols: Sequence[str]) -> dict[str, int]:
        first = self.specials if self.maybe(0.6) else [self.names["unk"]]
        return {symbol: number for number, symbol in enumerate(dict.fromkeys([*first, *symbols]))}

    def _bytes(self) -> Tokenizer:
        merges = [*MERGES, ("Ġ", "the"), ("Ġ", "mill")]
        vocab = self._vocabulary([*sorted(ByteLevel.alphabet()), *map("".join, merges)])
        tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, ignore_merges=self.maybe(0.3)))
        split = pre_tokenizers.Split(Regex(SPLIT), "isolated")
        prefix = self.maybe(0.3)
        tokenizer.pre_tokenizer = self.random.choice([
            ByteLevel(add_prefix_space=prefix),
            pre_tokenizers.Sequence([split, ByteLevel(add_prefix_space=False, use_regex=False)]),
            pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), ByteLevel(add_prefix_space=False)]),
        ])  # fmt: skip
        tokenizer.decoder = decoders.ByteLevel()
        if self.maybe(0.3):
            tokenizer.normalizer = self.random.choice([normalizers.NFC(), normalizers.NFKC(), normalizers.Lowercase()])
        return tokenizer

    def _marked(self, tokenizer: Tokenizer) -> Tokenizer:
        """SentencePiece's blanks, in one of the forms that converters write."""
        scheme = self.random.choice(["first", "always", "never"])
        if self.maybe():
            steps = [normalizers.Replace(" ", "▁")]
            tokenizer.normalizer = normalizers.Sequence(
                [normalizers.Prepend("▁"), *steps] if self.maybe(0.7) else steps
            )
        else:
            tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme=scheme, split=self.maybe())
        sequence = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
        strip = [decoders.Strip(" ", 1, 0)] if self.maybe(0.7) else []
        stop = [decoders.Strip(" ", 0, 1)] if self.maybe(0.1) else []
        plain = decoders.Metaspace("▁", prepend_scheme=scheme, split=True)
        tokenizer.decoder = decoders.Sequence([*sequence, *strip, *stop]) if self.maybe(0.8) else plain
        return tokenizer

    def _spaces(self) -> Tokenizer:
        merges = [*MERGES, ("▁", "the"), ("▁", "mill")]
        fallback = self.maybe(0.8)
        bytes_256 = [f"<0x{byte:02X}>" for byte in range(256)] if fallback else []
        vocab = self._vocabulary([*bytes_256, "▁", *LETTERS, *map("".join, merges)])
        unknown = self.names["unk"]
        model = models.BPE(vocab=vocab, merges=merges, unk_token=unknown, fuse_unk=self.maybe(), byte_fallback=fallback)
        return self._marked(Tokenizer(model))

    def _suffix(self) -> Tokenizer:
        ends = [f"{letter}</w>" for letter in LETTERS]
        merges = [("t", "h"), ("th", "e</w>"), ("m", "i"), ("l", "l</w>"), ("mi", "ll</w>")]
        vocab = self._vocabulary([*LETTERS, *ends, *map("".join, merges)])
        tokenizer = Tokenizer(
            models.BPE(vocab=vocab, merges=merges, unk_token=self.names["unk"], end_of_word_suffix="</w>")
        )
        tokenizer.normalizer = self.random.choice([None, normalizers.Lowercase(), normalizers.NFC()])
        tokenizer.pre_tokenizer = self.random.choice([pre_tokenizers.Whitespace(), pre_tokenizers.BertPreTokenizer()])
        tokenizer.decoder = decoders.BPEDecoder(suffix="</w>")
        return tokenizer

    def _pieces(self) -> Tokenizer:
        vocab = self._vocabulary([*LETTERS, *(f"##{letter}" for letter in LETTERS), *WORDS, "##ill", "##t"])
        tokenizer = Tokenizer(models.WordPiece(vocab=vocab, unk_token=self.names["unk"]))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=self.maybe()) if self.maybe(0.8) else None
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=self.maybe())
        return tokenizer

    def _unigram(self) -> Tokenizer:
        bytes_256 = [f"<0x{byte:02X}>" for byte in range(256)] if self.maybe() else []
        symbols = list(self._vocabulary([*bytes_256, "▁", *LETTERS, *(f"▁{word}" for word in WORDS), "ill", "er"]))
        scores = [(symbol, -round(self.random.uniform(1, 9), 3)) for symbol in symbols]
        unknown = symbols.index(self.names["unk"])
        return self._marked(Tokenizer(models.Unigram(scores, unk_id=unknown, byte_fallback=bool(bytes_256))))

    def _words(self) -> Tokenizer:
        vocab = self._vocabulary([*WORDS, *LETTERS, "12345", "x", "hi"])
        tokenizer = Tokenizer(models.WordLevel(vocab, unk_token=self.names["unk"]))
        tokenizer.pre_tokenizer = self.random.choice([pre_tokenizers.Whitespace(), pre_tokenizers.WhitespaceSplit()])
        tokenizer.normalizer = self.random.choice([None, normalizers.Lowercase(), normalizers.StripAccents()])
        return tokenizer

    # --- added tokens, post-processor ---------------------------------------------------------------------------------

    def _flags(self, odd: float) -> dict[str, bool]:
        named = ["lstrip", "rstrip", "single_word", "normalized"]
        return {name: self.maybe(odd) for name in named}

    def _add_tokens(self) -> None:
        for name in self.specials:
            flags = self._flags(0.1) if self.maybe(0.3) else {"normalized": False}
            self.tokenizer.add_special_tokens([AddedToken(name, special=True, **flags)])
        for word in self.random.sample(ADDED, self.random.randrange(4)):
            flags = self._flags(0.3) if self.maybe() else {"normalized": False}
            self.tokenizer.add_tokens([AddedToken(word, special=self.maybe(0.15), **flags)])

    def _add_processor(self) -> None:
        bos, eos = ((self.names[role], self.tokenizer.token_to_id(self.names[role])) for role in ("bos", "eos"))
        begins = processors.TemplateProcessing(
            single=f"{bos[0]} $A", pair=f"{bos[0]} $A {bos[0]}:1 $B:1", special_tokens=[bos]
        )
        around = processors.TemplateProcessing(
            single=f"{bos[0]} $A {eos[0]}", pair=f"{bos[0]} $A {eos[0]} $B", special_tokens=[bos, eos]
        )
        spans = processors.ByteLevel(trim_offsets=self.maybe())
        self.tokenizer.post_processor = self.random.choice([
            None, begins, begins, around, spans, processors.RobertaProcessing(eos, bos), processors.BertProcessing(eos, bos),
            processors.Sequence([spans, begins]), processors.Sequence([spans, around]),
        ])  # fmt: skip

    # --- files --------------------------------------------------------------------------------------------------------

    def _json(self, name: str, value: object) -> None:
        (self.folder / name).write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")

    def _entry(self, name: str) -> Any:
        """A special token as a text, or as transformers wrote them for years."""
        flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
        return {"__type": "AddedToken", "content": name, **flags} if self.maybe(0.3) else name

    def _write(self) -> None:
        self.tokenizer.save(str(self.folder / "tokenizer.json"))
        roles = {"bos_token": self.names["bos"], "eos_token": self.names["eos"], "unk_token": self.names["unk"]}
        config: dict[str, Any] = {role: self._entry(name) for role, name in roles.items() if self.maybe(0.9)}
        if self.kind == "spaces" and self.maybe(0.3) and "ByteLevel" not in self.tokenizer.to_str():
            config["tokenizer_class"] = self.random.choice(["LlamaTokenizer", "LlamaTokenizerFast"])
            config |= {"legacy": self.maybe()} if self.maybe() else {}
            config |= {"add_prefix_space": self.maybe()} if self.maybe(0.3) else {}
        else:
            config["tokenizer_class"] = self.random.choice(["PreTrainedTokenizerFast", "TokenizersBackend"])
        for switch in ("add_bos_token", "add_eos_token", "clean_up_tokenization_spaces"):
            config |= {switch: self.maybe()} if self.maybe() else {}
        if self.maybe(0.3):
            added = self.tokenizer.get_added_tokens_decoder().items()
            config["added_tokens_decoder"] = {str(number): self._listed(token) for number, token in added}
        if self.maybe(0.2):
            config["additional_special_tokens"] = self.random.sample(["<|extra|>", *self.specials], 2)
        if self.maybe(0.3):
            self._json(
                "special_tokens_map.json", {"eos_token": self.random.choice([self.names["eos"], self.names["turn"]])}
            )
        self._write_templates(config)
        self._json("tokenizer_config.json", config)
        self._write_ends()

    def _listed(self, token: AddedToken) -> dict[str, Any]:
        flags = {name: getattr(token, name) for name in ("single_word", "lstrip", "rstrip", "normalized", "special")}
        if not token.special and self.maybe(0.2):
            flags["special"] = True
        return {"content": token.content, **flags}

    def _write_templates(self, config: dict[str, Any]) -> None:
        template = self.random.choice(TEMPLATES).replace("TURN", repr(self.names["turn"]))
        place = self.random.choice(["config", "config", "list", "file", "files"])
        if place == "config":
            config["chat_template"] = template
        elif place == "list":
            config["chat_template"] = [
                {"name": "default", "template": template}, {"name": "tool_use", "template": "{{ tools|tojson }}" + template}
            ]  # fmt: skip
        else:
            (self.folder / "chat_template.jinja").write_text(template, encoding="utf-8")
            config["chat_template"] = "not this one"
        if place == "files":
            (self.folder / "additional_chat_templates").mkdir(exist_ok=True)
            text = "{{ messages[0].content }}"
            (self.folder / "additional_chat_templates" / "rag.jinja").write_text(text, encoding="utf-8")

    def _write_ends(self) -> None:
        eos, turn = (self.tokenizer.token_to_id(self.names[role]) for role in ("eos", "turn"))
        if self.maybe(0.7):
            ends = self.random.choice([eos, turn, [eos], [eos, turn], [turn]])
            self._json("generation_config.json", {"eos_token_id": ends, "temperature": 0.7, "bos_token_id": 1})
        if self.maybe(0.5):
            architecture = {"model_type": "qwen3"} if self.kind == "bytes" else {"model_type": "llama"}
            self._json("config.json", {**architecture, "eos_token_id": self.random.choice([eos, [eos, turn]])})

    def conversation(self, without: Collection[str]) -> list[dict[str, str]]:
        """Messages that spell none of the tokens in `without`."""
        texts = [
            self.random.choice([text for text in TEXTS if not any(name in text for name in without)])
            for _ in range(self.random.randrange(1, 6))
        ]
        if self.maybe(0.3) and not {"<think>", "</think>"} & {*without}:
            texts[len(texts) // 2] = "<think>\nhm\n</think>\n\n" + texts[len(texts) // 2]
        return [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(texts)]
