"""What is wrong with the result of a CloudFront Function, in the words that viewers have for it."""

from dataclasses import replace

from edgefn.rules.violation import ViolatedError, Violation

READ_ONLY_HEADER = "The CloudFront function tried to add, delete, or change a read-only header."
INVALID = "The CloudFront function returned an invalid value"
RESULT = f"{INVALID}: it is neither a request nor a response object."
HEADERS = f"{INVALID} in headers."
COOKIES = f"{INVALID} in cookies."
QUERY = f"{INVALID} in querystring."
URI = f"{INVALID} in uri."
STATUS = f"{INVALID} in statusCode."
DESCRIPTION = f"{INVALID} in statusDescription."
BODY = f"{INVALID} in body."
ORIGIN = f"{INVALID} for the origin."

_LAMBDA = "The Lambda function"


def in_our_words(violation: Violation, sentence: str) -> Violation:
    """Return a violation of a rule that both kinds of functions share, with the sentence of this one."""
    return replace(violation, sentence=sentence) if violation.sentence.startswith(_LAMBDA) else violation


def invalid(field: str, what: str, sentence: str) -> ViolatedError:
    """Return the error for a value of the wrong shape. `what` completes "the function returned"."""
    return ViolatedError(field, f"the function returned {what}", sentence)
