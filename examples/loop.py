"""Say what is heard, as it is heard: `python examples/loop.py [FILE or URL]`, else the microphone."""

import sys

from edge_ser import Recognizer
from edge_ser.recognition.events import Clip, Emotion, SpeechEnd

for event in Recognizer().listen(sys.argv[1] if len(sys.argv) > 1 else None):
    match event:
        case Emotion(label=str(label), confidence=confidence):
            print(f"{event.at_s:7.2f} s  {label} ({confidence:.0%})")
        case SpeechEnd(label=label) | Clip(label=label):
            print(f"{event.at_s:7.2f} s  in sum: {label or 'not sure'}")
