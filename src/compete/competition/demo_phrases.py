"""The word banks of the demo competition, written by hand; none of it was posted by anybody.

Templates have named slots: {topic} is filled from TOPICS, {feeling} from the FEELINGS of a label, {wrong}
from those of a label that the row does not have, {lovely} from LOVELY and {mishap} from MISHAPS.
"""

from __future__ import annotations

LABELS = (
    "anger",
    "anticipation",
    "disgust",
    "fear",
    "joy",
    "love",
    "optimism",
    "pessimism",
    "sadness",
    "surprise",
    "trust",
)

# fmt: off

# How often labels occur together: the 64 most frequent label sets of the 7,724 training rows of SemEval-2018
# task 1 E-c (English), reweighted (iterative proportional fitting) so that every label keeps the rate it has
# in all rows, since the rare labels live in the many rare sets that are left out. Rows per 1,997.
LABEL_SETS = (
    ("anger disgust", 231), ("anger disgust sadness", 149), ("joy optimism", 144),
    ("joy love optimism", 119), ("anticipation joy optimism", 68), ("joy", 67),
    ("pessimism sadness", 59), ("anger disgust fear", 57), ("", 56),
    ("joy love", 52), ("fear", 51), ("sadness", 44),
    ("anger disgust pessimism sadness", 44), ("fear sadness", 38), ("anger disgust fear sadness", 38),
    ("joy optimism trust", 32), ("anticipation joy", 31), ("joy optimism surprise", 29),
    ("disgust sadness", 27), ("fear pessimism sadness", 26), ("anticipation joy optimism trust", 26),
    ("anticipation surprise", 26), ("anger", 25), ("joy love optimism trust", 24),
    ("joy surprise", 24), ("anticipation", 23), ("anger sadness", 23),
    ("anger disgust surprise", 23), ("disgust pessimism sadness", 22), ("anger disgust joy", 21),
    ("optimism", 20), ("fear pessimism", 20), ("anticipation joy love optimism", 20),
    ("anger disgust pessimism", 18), ("anger anticipation disgust", 18), ("joy sadness", 16),
    ("anticipation optimism", 16), ("joy optimism sadness", 15), ("disgust fear sadness", 15),
    ("anticipation fear", 15), ("disgust fear pessimism sadness", 14), ("disgust", 13),
    ("disgust fear", 13), ("anticipation sadness", 13), ("anticipation optimism trust", 13),
    ("anger disgust fear pessimism sadness", 12), ("anger fear", 11), ("anger pessimism sadness", 11),
    ("fear optimism", 10), ("fear joy optimism", 10), ("fear joy", 10),
    ("optimism sadness", 9), ("anger joy optimism", 9), ("anger anticipation", 9),
    ("anger disgust optimism", 8), ("anger joy", 8), ("optimism trust", 8),
    ("anticipation disgust", 8), ("anger fear sadness", 7), ("disgust fear pessimism", 7),
    ("disgust joy", 6), ("anger disgust joy sadness", 6), ("anger optimism", 5),
    ("anger disgust joy optimism", 5),
)

TOPICS = (
    "the 7:15 train", "my maths exam", "the driving test", "saturday's match", "the weather this week",
    "the neighbour's dog", "my sourdough", "the office party", "the concert on friday", "the job interview",
    "our new cat", "the dentist", "the school play", "the boiler repair", "the night shift",
    "the group project", "the bus into town", "the cup final", "the new timetable", "this lasagne",
    "the marathon", "my cousin's wedding", "the phone update", "the parcel", "the garden", "choir practice",
    "the biology essay", "the season finale", "the camping trip", "the new manager", "the library card thing",
    "the village fair", "monday's meeting", "the swimming lesson", "the pub quiz", "the last album",
    "the flat we looked at", "the goalkeeper", "my bike", "the exam result", "the bakery on the corner",
    "the ferry home", "the support band", "the rabbit", "the chess club", "the landlord's email",
)

# Each fits "feeling {feeling}", "{feeling} about {topic}" and "not {feeling}": the same words with and
# without the label, so that only their context tells.
FEELINGS = {
    "anger": ("angry", "furious", "fuming", "annoyed", "livid", "fed up", "irritated", "mad"),
    "anticipation": ("curious", "impatient", "on tenterhooks", "eager", "restless", "all ears"),
    "disgust": ("disgusted", "grossed out", "appalled", "sickened", "repelled", "unimpressed"),
    "fear": ("scared", "nervous", "terrified", "anxious", "worried", "afraid", "shaky"),
    "joy": ("happy", "delighted", "thrilled", "cheerful", "over the moon", "glad", "pleased"),
    "love": ("smitten", "soppy", "head over heels", "mushy", "sentimental"),
    "optimism": ("hopeful", "optimistic", "positive", "confident", "motivated", "full of hope"),
    "pessimism": ("hopeless", "gloomy", "doubtful", "defeated", "cynical"),
    "sadness": ("sad", "heartbroken", "down", "miserable", "lonely", "tearful", "gutted"),
    "surprise": ("surprised", "stunned", "speechless", "astonished", "amazed"),
    "trust": ("reassured", "certain", "secure", "safe", "at ease"),
}

# The label is there, although half of these templates contain a negation.
AFFIRMED = (
    "so {feeling} about {topic}", "feeling {feeling} about {topic}", "{topic} has left me {feeling}",
    "honestly just {feeling} right now", "everyone in the house is {feeling} about {topic}",
    "never been this {feeling} about {topic}", "not going to lie, {feeling} about {topic}",
    "can't tell you how {feeling} i am about {topic}", "no idea why i am this {feeling} about {topic}",
    "why is nobody else {feeling} about {topic}? i am",
    "not a day goes by that i am not {feeling} about {topic}",
    "nobody could be more {feeling} about {topic} than me", "don't tell me not to be {feeling} about {topic}",
)

# The label is not there, although its words are.
NEGATED = (
    "not {wrong} about {topic} at all", "nobody here is {wrong} about {topic}",
    "can't say {topic} has left me {wrong}", "never once was i {wrong} about {topic}",
    "{topic}? i would not call myself {wrong}", "don't think that {topic} makes me {wrong}",
    "used to be {wrong} about {topic}. not any more", "why is everyone {wrong} about {topic}? i am not",
    "no reason to be {wrong} about {topic}", "hardly {wrong} about {topic}, if you ask me",
    "my brother would be {wrong} about {topic}, i'm not", "wish i could be {wrong} about {topic}",
)

# Both in one fragment; which of the two holds is in the word order.
CONTRASTED = (
    "thought i would be {wrong} about {topic}, turns out i am {feeling}",
    "everyone else is {wrong} about {topic}. me? {feeling}",
    "not {wrong}, {feeling}, and all because of {topic}", "was {wrong} before {topic}, am {feeling} now",
    "{feeling}, not {wrong}, that's what {topic} does to me", "less {wrong} than {feeling} about {topic}",
    "{feeling} rather than {wrong} after {topic}", "am {feeling} now, was {wrong} before {topic}",
    "mum is {wrong} about {topic} and i am {feeling}", "i am {feeling} about {topic} and mum is {wrong}",
)

PHRASES = {
    "anger": (
        "{topic} makes my blood boil", "how dare they cancel {topic} by text",
        "who do i shout at about {topic}", "third time i complain about {topic}. third!",
        "sick of excuses about {topic}", "someone at the desk is getting a very long letter about {topic}",
        "stop wasting my time with {topic}", "i could scream, {mishap}", "what a joke, {mishap}",
        "whoever planned {topic} should say sorry",
    ),
    "anticipation": (
        "counting the hours until {topic}", "only two more sleeps until {topic}", "can't wait for {topic}",
        "is it time for {topic} yet?", "bags packed for {topic}", "waiting to hear about {topic}",
        "watch this space: {topic}", "refreshing the page every minute because of {topic}",
    ),
    "disgust": (
        "{topic} smells like old socks", "eww, {mishap}", "the state of {topic}, absolutely vile",
        "{topic} turned my stomach", "what a joke, {mishap}", "this is a new low, {mishap}",
        "whoever planned {topic} should be ashamed", "sick of excuses about {topic}",
        "there was a hair in it. a hair. so much for {topic}", "{topic} is a disgrace",
    ),
    "fear": (
        "hands are shaking because of {topic}", "could not sleep because of {topic}", "dreading {topic}",
        "what if {topic} goes wrong", "heart is racing, {topic} in ten minutes",
        "sleeping with the light on tonight", "{topic} gives me nightmares",
        "please tell me {topic} is going to be ok", "hiding under a blanket from {topic}",
    ),
    "joy": (
        "{topic} made my whole week", "cannot stop smiling after {topic}", "best day ever thanks to {topic}",
        "dancing round the kitchen because of {topic}", "laughed until i cried at {topic}",
        "what a lovely evening", "{topic} was brilliant", "such fun at {topic}", "we did it! {topic}!",
        "good times with {topic}",
    ),
    "love": (
        "i adore {topic}", "my whole heart belongs to {topic}", "hugs for everyone at {topic}",
        "{topic} and me, a love story", "married ten years today and still holding hands",
        "what a sweetheart", "sending love to all of you at {topic}", "give that little one a cuddle from me",
    ),
    "optimism": (
        "{topic} will work out, you'll see", "one step at a time and {topic} is done",
        "better days are coming", "we can still turn {topic} around", "keep going, {topic} is worth it",
        "next year is our year", "{topic} was brilliant, more of that please",
        "small progress with {topic} is still progress", "believe in yourself, {topic} is only the start",
        "things are looking up after {topic}",
    ),
    "pessimism": (
        "{topic} is never going to get better", "no point in trying with {topic}",
        "of course {topic} will go wrong", "it only goes downhill from {topic}",
        "why do i even bother with {topic}", "it was always going to end like this",
        "knowing my luck, {mishap} again", "expect nothing from {topic} and you still lose",
    ),
    "sadness": (
        "crying in the car because of {topic}", "i miss {topic} so much",
        "the house is so quiet without {topic}", "why do i even bother with {topic}",
        "{topic} broke my heart", "another evening on my own", "can't stop thinking of how {topic} ended",
        "it hurts, {mishap}", "goodbye to {topic}, it was nice while it lasted",
        "spent the whole day in bed after {topic}",
    ),
    "surprise": (
        "did not see {topic} coming", "wait, what? {topic}?!", "jaw on the floor after {topic}",
        "out of nowhere: {topic}", "who would have thought it of {topic}", "well, {topic} was a plot twist",
    ),
    "trust": (
        "you can count on {topic}", "they have never let me down with {topic}", "in good hands with {topic}",
        "i believe every word they say about {topic}", "she keeps her promises, {topic} included",
        "leave {topic} to the team, they know what they do",
    ),
}

# Several belong to two labels, as people use them.
HASHTAGS = {
    "anger": ("#rant", "#fuming", "#notok", "#customerservice"),
    "anticipation": ("#countdown", "#comingsoon", "#cantwait", "#finally"),
    "disgust": ("#gross", "#eww", "#notok", "#disgrace", "#shame"),
    "fear": ("#nervous", "#anxiety", "#help", "#nightmare", "#worried"),
    "joy": ("#happy", "#goodday", "#blessed", "#fun", "#finally", "#smile"),
    "love": ("#love", "#family", "#blessed", "#mine"),
    "optimism": ("#hope", "#keepgoing", "#goals", "#positivity", "#motivation"),
    "pessimism": ("#whybother", "#typical", "#doomed", "#mylife"),
    "sadness": ("#sad", "#lonely", "#missyou", "#heartbreak", "#mylife"),
    "surprise": ("#plottwist", "#wow", "#whoknew"),
    "trust": ("#teamwork", "#thankful", "#faith"),
}
EMOJI = {
    "anger": ("😡", "😠", "💢", "🙄"),
    "anticipation": ("⏳", "👀", "🤞"),
    "disgust": ("🤢", "🤮", "🙄", "😒"),
    "fear": ("😨", "😰", "😱", "😬"),
    "joy": ("😂", "😄", "🎉", "😊", "😁"),
    "love": ("❤️", "😍", "🥰", "😊"),
    "optimism": ("💪", "🙏", "🌈", "🤞", "✨"),
    "pessimism": ("🙃", "😑", "😔", "🤷"),
    "sadness": ("😢", "😭", "💔", "😔"),
    "surprise": ("😮", "😱", "🤯"),
    "trust": ("🤝", "🙏", "👍"),
}

# Sarcasm: joy's words over a mishap.
LOVELY = ("lovely", "wonderful", "brilliant", "great", "fantastic", "what fun", "so happy", "best day ever")
SARCASM = (
    "oh {lovely}, {mishap}", "{lovely}. {mishap}. exactly what i needed",
    "{mishap}, {lovely} start to a monday", "{mishap} and they call it \"{lovely}\"",
)
MISHAPS = (
    "they cancelled it five minutes before the start", "the bus drove straight past the stop", "it rained in",
    "someone ate my lunch from the fridge again", "the screen froze on the last question",
    "we lost in extra time", "an hour in the queue and then they closed", "the oven gave up halfway through",
    "i left my keys on the train", "mould all over the bread", "nobody turned up", "they charged me twice",
    "the lead broke and the dog ran off",
)

# Nothing below says anything about a label.
NEUTRAL = (
    "{topic} starts at half past six", "on my way to {topic}", "has anyone got a photo of {topic}?",
    "here is the link about {topic}", "talking to my aunt about {topic}", "reading up on {topic}",
    "second cup of tea, then {topic}", "it's about {topic}, as usual", "does {topic} count as homework?",
    "the sign says \"{topic} this way\"", "my gran asked \"what about {topic}?\" twice",
    "part two of {topic}", "platform 4, coffee, a book",
    "rain in the morning, sun in the afternoon, wind at night", "three eggs, some flour, a pinch of salt",
    "news about {topic} at ten", "same place as last year", "they moved {topic} to thursday",
    "he said \"not today\" and left", "no milk, no bread, back to the shop",
)
OPENERS = (
    "ok so", "right then,", "update:", "honestly", "today:", "well,", "hey", "so", "just saying,", "psa:",
    "anyway,", "morning all,", "question:", "dear diary,", "breaking:",
)
NAMES = ("someone", "reader", "commuter", "neighbour", "goalkeeper_fan", "tea_drinker", "nobody", "choir")
PLAIN_HASHTAGS = ("#monday", "#train", "#exam", "#football", "#cooking", "#work", "#pets", "#music")
# fmt: on
