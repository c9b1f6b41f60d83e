"""A judge that asks a model: the experiment grants it one under `[judge.models.NAME]`.

This one shows the model both responses and takes its probabilities of the letters A and B, in both orders. Put your own question
into `QUESTION`.
"""

import slhf
from slhf import Attribute, Failure, Message, Verdict

QUESTION = """Which response to the prompt is better?

[Prompt]
{prompt}

[Response A]
{first}

[Response B]
{second}

Reply with the letter A or the letter B, and nothing else."""


class Judge(slhf.Judge):
    name = "{{NAME}}"
    version = "0.1.0"
    measures = "which response a language model says is better, asked in both orders"
    complementary = True

    def compare_all(self, comparisons):
        # Asked once, for the whole batch: a device and a server work on many questions side by side.
        items = []
        for comparison in comparisons:
            first, second = comparison.first.text, comparison.second.text
            for one, other in ((first, second), (second, first)):
                question = QUESTION.format(prompt=comparison.prompt, first=one, second=other)
                items.append(([Message("user", question)], ["A", "B"], comparison.draw))
        outcomes = self.models.choose(self.models.only(), items)
        return [verdict(*outcomes[2 * at : 2 * at + 2]) for at in range(len(comparisons))]


def verdict(straight, swapped):
    for outcome in (straight, swapped):
        if isinstance(outcome, Failure):
            return outcome
    # In the other order the first response has the second letter.
    as_given, in_the_other_order = straight.shares()[0], swapped.shares()[1]
    # Exactly complementary in floating point, too.
    probability = 0.5 + 0.5 * ((as_given - 0.5) + (in_the_other_order - 0.5))
    votes = [Attribute("as_given", as_given), Attribute("swapped", in_the_other_order)]
    return Verdict(min(max(probability, 0.0), 1.0), votes)
