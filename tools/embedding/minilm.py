"""The forward pass of a BERT sentence model in numpy, from the files of its package: no framework is needed
for one pass over a vocabulary. Sentence vectors are the mean over the tokens, as the model's card says."""
import json
import math
import re
import struct
import unicodedata

import numpy as np


def gelu(x):
    """x times the normal distribution function, by Abramowitz and Stegun 7.1.26 (to 1e-7 or so)."""
    z = np.abs(x) * np.float32(math.sqrt(0.5))
    t = 1 / (1 + np.float32(0.3275911) * z)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    tail = 0.5 * series * np.exp(-z * z)
    return x * np.where(x < 0, tail, 1 - tail)


def read_safetensors(path):
    """Tensors by name (float32; other types are left out: position ids)."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    return {name: np.frombuffer(data[slice(*entry["data_offsets"])], dtype=np.float32).reshape(entry["shape"])
            for name, entry in header.items() if name != "__metadata__" and entry["dtype"] == "F32"}


class SentenceModel:
    def __init__(self, folder):
        self.weights = read_safetensors(f"{folder}/model.safetensors")
        config = json.load(open(f"{folder}/config.json"))
        self.layers, self.heads = config["num_hidden_layers"], config["num_attention_heads"]
        self.vocabulary = [line.rstrip("\n") for line in open(f"{folder}/vocab.txt", encoding="utf-8")]
        self.ids = {piece: i for i, piece in enumerate(self.vocabulary)}

    def pieces(self, text):
        """WordPiece ids, lower case, accents dropped, with the marks of start and end; at most 256."""
        folded = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if not unicodedata.combining(c))
        ids = [self.ids["[CLS]"]]
        for word in re.findall(r"[^\W_]+|[^\w\s]|_", folded):
            at, found = 0, []
            while at < len(word):
                for end in range(len(word), at, -1):
                    piece = self.ids.get(("##" if at else "") + word[at:end])
                    if piece is not None:
                        break
                else:
                    found = [self.ids["[UNK]"]]
                    break
                found.append(piece)
                at = end
            ids += found
        return ids[:255] + [self.ids["[SEP]"]]

    def _linear(self, name, x):
        return x @ self.weights[name + ".weight"].T + self.weights[name + ".bias"]

    def _norm(self, name, x):
        x = x - x.mean(-1, keepdims=True)
        x /= np.sqrt((x * x).mean(-1, keepdims=True) + 1e-12)
        return x * self.weights[name + ".weight"] + self.weights[name + ".bias"]

    def _layer(self, name, x):
        texts, length, width = x.shape
        split = lambda y: y.reshape(texts, length, self.heads, -1).transpose(0, 2, 1, 3)  # noqa: E731
        query, key, value = (split(self._linear(f"{name}.attention.self.{part}", x)) for part in ("query", "key", "value"))
        scores = query @ key.transpose(0, 1, 3, 2) / np.float32(math.sqrt(query.shape[-1]))
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        mixed = (scores @ value).transpose(0, 2, 1, 3).reshape(texts, length, width)
        x = self._norm(f"{name}.attention.output.LayerNorm", x + self._linear(f"{name}.attention.output.dense", mixed))
        inner = gelu(self._linear(f"{name}.intermediate.dense", x))
        return self._norm(f"{name}.output.LayerNorm", x + self._linear(f"{name}.output.dense", inner))

    def _forward(self, ids):
        w = self.weights
        x = (w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][: ids.shape[1]]
             + w["embeddings.token_type_embeddings.weight"][0])
        x = self._norm("embeddings.LayerNorm", x)
        for layer in range(self.layers):
            x = self._layer(f"encoder.layer.{layer}", x)
        return x.mean(1)

    def encode(self, texts, batch_pieces=4096):
        """One row a text; texts of equal length go together, so that nothing is padded."""
        pieces = [self.pieces(text) for text in texts]
        out = np.empty((len(texts), self.weights["embeddings.word_embeddings.weight"].shape[1]), dtype=np.float32)
        by_length = {}
        for i, ids in enumerate(pieces):
            by_length.setdefault(len(ids), []).append(i)
        for length, members in sorted(by_length.items()):
            step = max(1, batch_pieces // length)
            for at in range(0, len(members), step):
                part = members[at : at + step]
                out[part] = self._forward(np.array([pieces[i] for i in part]))
        return out
