"""What is wrong with a function's result, in the words that viewers and logs of AWS have for it."""

from dataclasses import dataclass

FAILED = "The Lambda function result failed validation: "
HIDDEN_HEADER = FAILED + "The function tried to add a blacklisted header."
READ_ONLY_HEADER = FAILED + "The function tried to add, delete, or change a read-only header."
HEADER = FAILED + "The function returned an invalid header."
BODY = FAILED + "The body is not a string, is not an object, or exceeds the maximum size."
URI = FAILED + "The function returned an invalid URI format."
STATUS = FAILED + "The status is not a number from 200 to 599."
RESULT = FAILED + "The function returned neither a request nor a response object."
HEADERS_OBJECT = "The Lambda function returned an invalid entry in the headers object: "
HEADER_ENTRY = HEADERS_OBJECT + "Each header entry in the headers object must be an array."
ORIGIN = "The Lambda function returned an invalid origin configuration: "
ORIGIN_HEADERS = ORIGIN + "One or more HeaderName or HeaderValue values are invalid."


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule. `field` is where in the result; `rule` is for the log, `sentence` for the error page."""

    field: str
    rule: str
    sentence: str


class ViolatedError(Exception):
    """Ends the judging of a result at its first `violation`. Never leaves `edgefn.rules.contract`."""

    def __init__(self, field: str, rule: str, sentence: str) -> None:
        super().__init__(rule)
        self.violation = Violation(field, rule, sentence)
