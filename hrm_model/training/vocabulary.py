"""A byte-level BPE of the training text, in the released tokenizer's manner: NFC, digits split singly."""

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from hrm_model.template import BEGIN_QUESTION, CONDITION_TOKENS, END_ANSWER, END_QUESTION, PAD
from hrm_model.tokenizer import TOKENIZER_FILE
from hrm_model.weights import write_json

TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
# In the order of the released tokenizer, whose ids 5 to 13 these are; here they come first.
CONTROL_TOKENS = (
    PAD,
    BEGIN_QUESTION,
    END_QUESTION,
    CONDITION_TOKENS["direct"],
    CONDITION_TOKENS["cot"],
    END_ANSWER,
    CONDITION_TOKENS["noisy"],
    CONDITION_TOKENS["synth"],
)


def train_tokenizer(texts: Iterable[str], vocab_size: int, folder: Path) -> None:
    """Train a tokenizer on `texts` and write tokenizer.json and tokenizer_config.json into `folder`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    # A word takes its leading space with it; digits and punctuation stand alone, so that "28" is copied digit by
    # digit and a full stop never sticks to the value before it.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r" ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]|\s+(?!\S)|\s+"), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(CONTROL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / TOKENIZER_FILE))
    write_json(
        folder / TOKENIZER_CONFIG_FILE,
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": BEGIN_QUESTION,
            "eos_token": END_ANSWER,
            "pad_token": PAD,
            "clean_up_tokenization_spaces": False,
        },
    )
