/**
 * The DOCTOR script of J. Weizenbaum, "ELIZA: a computer program for the study of natural language communication
 * between man and machine", CACM 9(1), 1966, appendix, as data. In a decomposition `0` matches any words, a number
 * that many words, `/belief` a word of that family, `a|b` one of these words; in a reassembly `$3` is the third part.
 * `=what` hands over to another keyword, `newkey` to the next one found, `pre … =i` rewrites and hands over.
 */
export interface ElizaRule {
  readonly decomposition: string;
  readonly reassemblies: readonly string[];
}

export interface ElizaKeyword {
  readonly word: string;
  /** What the word becomes before rules are tried (`my` → `your`). */
  readonly becomes?: string;
  readonly rank?: number;
  readonly rules?: readonly ElizaRule[];
  /** All rules of another keyword. */
  readonly sameAs?: string;
}

export const families: Readonly<Record<string, readonly string[]>> = {
  family: ['mother', 'mom', 'father', 'dad', 'sister', 'brother', 'wife', 'children'],
  noun: ['mother', 'father'],
  belief: ['feel', 'think', 'believe', 'wish'],
};

const what: readonly string[] = [
  'Why do you ask',
  'Does that question interest you',
  'What is it you really want to know',
  'Are such questions much on your mind',
  'What answer would please you most',
  'What do you think',
  'What comes to your mind when you ask that',
  'Have you asked such question before',
  'Have you asked anyone else',
];

const dream: readonly string[] = [
  'What does that dream suggest to you',
  'Do you dream often',
  'What persons appear in your dreams',
  "Don't you believe that dream has something to do with your problem",
  'newkey',
];

const alike: readonly string[] = [
  'In what way',
  'What resemblance do you see',
  'What does that similarity suggest to you',
  'What other connections do you see',
  'What do you suppose that resemblance means',
  'What is the connection, do you suppose',
  'Could there really be some connection',
  'How',
];

const rule = (decomposition: string, ...reassemblies: readonly string[]): ElizaRule => ({
  decomposition,
  reassemblies,
});

export const keywords: readonly ElizaKeyword[] = [
  {
    word: 'sorry',
    rules: [
      rule(
        '0',
        "Please don't apologize",
        'Apologies are not necessary',
        'What feelings do you have when you apologize',
        "I've told you that apologies are not required",
      ),
    ],
  },
  { word: 'dont', becomes: "don't" },
  { word: 'cant', becomes: "can't" },
  { word: 'wont', becomes: "won't" },
  {
    word: 'remember',
    rank: 5,
    rules: [
      rule(
        '0 you remember 0',
        'Do you often think of $4',
        'Does thinking of $4 bring anything else to mind',
        'What else do you remember',
        'Why do you remember $4 just now',
        'What in the present situation reminds you of $4',
        'What is the connection between me and $4',
      ),
      rule(
        '0 do i remember 0',
        'Did you think I would forget $5',
        'Why do you think I should recall $5 now',
        'What about $5',
        '=what',
        'You mentioned $5',
      ),
      rule('0', 'newkey'),
    ],
  },
  {
    word: 'if',
    rank: 3,
    rules: [
      rule(
        '0 if 0',
        'Do you think its likely that $3',
        'Do you wish that $3',
        'What do you think about $3',
        'Really, $2 $3',
      ),
    ],
  },
  {
    word: 'dreamt',
    rank: 4,
    rules: [
      rule(
        '0 you dreamt 0',
        'Really, $4',
        'Have you ever fantasied $4 while you were awake',
        'Have you dreamt $4 before',
        '=dream',
        'newkey',
      ),
    ],
  },
  { word: 'dreamed', becomes: 'dreamt', rank: 4, sameAs: 'dreamt' },
  { word: 'dream', rank: 3, rules: [rule('0', ...dream)] },
  { word: 'dreams', becomes: 'dream', rank: 3, sameAs: 'dream' },
  { word: 'how', sameAs: 'what' },
  { word: 'when', sameAs: 'what' },
  { word: 'alike', rank: 10, rules: [rule('0', ...alike)] },
  { word: 'same', rank: 10, sameAs: 'alike' },
  { word: 'certainly', sameAs: 'yes' },
  {
    word: 'perhaps',
    rules: [
      rule(
        '0',
        "You don't seem quite certain",
        'Why the uncertain tone',
        "Can't you be more positive",
        "You aren't sure",
        "Don't you know",
      ),
    ],
  },
  { word: 'maybe', sameAs: 'perhaps' },
  {
    word: 'name',
    rank: 15,
    rules: [
      rule(
        '0',
        'I am not interested in names',
        "I've told you before, I don't care about names, please continue",
      ),
    ],
  },
  { word: 'deutsch', rules: [rule('0', "I told you before, I don't understand German")] },
  { word: 'francais', rules: [rule('0', "I told you before, I don't understand French")] },
  { word: 'italiano', rules: [rule('0', "I told you before, I don't understand Italian")] },
  { word: 'espanol', rules: [rule('0', "I told you before, I don't understand Spanish")] },
  { word: 'hello', rules: [rule('0', 'How do you do. Please state your problem')] },
  {
    word: 'computer',
    rank: 50,
    rules: [
      rule(
        '0',
        'Do computers worry you',
        'Why do you mention computers',
        'What do you think machines have to do with your problem',
        "Don't you think computers can help people",
        'What about machines worries you',
        'What do you think about machines',
      ),
    ],
  },
  { word: 'machine', rank: 50, sameAs: 'computer' },
  { word: 'machines', rank: 50, sameAs: 'computer' },
  { word: 'computers', rank: 50, sameAs: 'computer' },
  {
    word: 'am',
    becomes: 'are',
    rules: [
      rule(
        '0 are you 0',
        'Do you believe you are $4',
        'Would you want to be $4',
        'You wish I would tell you you are $4',
        'What would it mean if you were $4',
        '=what',
      ),
      rule('0', "Why do you say 'am'", "I don't understand that"),
    ],
  },
  {
    word: 'are',
    rules: [
      rule(
        '0 are i 0',
        'Why are you interested in whether I am $4 or not',
        "Would you prefer if I weren't $4",
        'Perhaps I am $4 in your fantasies',
        'Do you sometimes think I am $4',
        '=what',
      ),
      rule(
        '0 are 0',
        'Did you think they might not be $3',
        'Would you like it if they were not $3',
        'What if they were not $3',
        'Possibly they are $3',
      ),
    ],
  },
  {
    word: 'your',
    becomes: 'my',
    rules: [
      rule(
        '0 my 0',
        'Why are you concerned over my $3',
        'What about your own $3',
        "Are you worried about someone else's $3",
        'Really, my $3',
      ),
    ],
  },
  {
    word: 'was',
    rank: 2,
    rules: [
      rule(
        '0 was you 0',
        'What if you were $4',
        'Do you think you were $4',
        'Were you $4',
        'What would it mean if you were $4',
        "What does ' $4 ' suggest to you",
        '=what',
      ),
      rule(
        '0 you was 0',
        'Were you really',
        'Why do you tell me you were $4 now',
        'Perhaps I already knew you were $4',
      ),
      rule(
        '0 was i 0',
        'Would you like to believe I was $4',
        'What suggests that I was $4',
        'What do you think',
        'Perhaps I was $4',
        'What if I had been $4',
      ),
      rule('0', 'newkey'),
    ],
  },
  { word: 'were', becomes: 'was', sameAs: 'was' },
  { word: 'me', becomes: 'you' },
  { word: "you're", becomes: "i'm", rules: [rule("0 i'm 0", 'pre i are $3 =you')] },
  { word: "i'm", becomes: "you're", rules: [rule("0 you're 0", 'pre you are $3 =i')] },
  { word: 'myself', becomes: 'yourself' },
  { word: 'yourself', becomes: 'myself' },
  { word: 'mother', rank: 0 },
  {
    word: 'i',
    becomes: 'you',
    rules: [
      rule(
        '0 you want|need 0',
        'What would it mean to you if you got $4',
        'Why do you want $4',
        'Suppose you got $4 soon',
        'What if you never got $4',
        'What would getting $4 mean to you',
        'What does wanting $4 have to do with this discussion',
      ),
      rule(
        '0 you are 0 sad|unhappy|depressed|sick 0',
        'I am sorry to hear you are $5',
        'Do you think coming here will help you not to be $5',
        "I'm sure its not pleasant to be $5",
        'Can you explain what made you $5',
      ),
      rule(
        '0 you are 0 happy|elated|glad|better 0',
        'How have I helped you to be $5',
        'Has your treatment made you $5',
        'What makes you $5 just now',
        'Can you explain why you are suddenly $5',
      ),
      rule('0 you was 0', '=was'),
      rule(
        '0 you /belief you 0',
        'Do you really think so',
        'But you are not sure you $5',
        'Do you really doubt you $5',
      ),
      rule('0 you 0 /belief 0 i 0', '=you'),
      rule(
        '0 you are 0',
        'Is it because you are $4 that you came to me',
        'How long have you been $4',
        'Do you believe it is normal to be $4',
        'Do you enjoy being $4',
      ),
      rule(
        "0 you can't|cannot 0",
        "How do you know you can't $4",
        'Have you tried',
        'Perhaps you could $4 now',
        'Do you really want to be able to $4',
      ),
      rule(
        "0 you don't 0",
        "Don't you really $4",
        "Why don't you $4",
        'Do you wish to be able to $4',
        'Does that trouble you',
      ),
      rule(
        '0 you feel 0',
        'Tell me more about such feelings',
        'Do you often feel $4',
        'Do you enjoy feeling $4',
        'Of what does feeling $4 remind you',
      ),
      rule(
        '0 you 0 i 0',
        'Perhaps in your fantasy we $3 each other',
        'Do you wish to $3 me',
        'You seem to need to $3 me',
        'Do you $3 anyone else',
      ),
      rule(
        '0',
        'You say $1',
        'Can you elaborate on that',
        'Do you say $1 for some special reason',
        "That's quite interesting",
      ),
    ],
  },
  {
    word: 'you',
    becomes: 'i',
    rules: [
      rule('0 i remind you of 0', '=alike'),
      rule(
        '0 i are 0',
        'What makes you think I am $4',
        'Does it please you to believe I am $4',
        'Do you sometimes wish you were $4',
        'Perhaps you would like to be $4',
      ),
      rule(
        '0 i 0 you',
        'Why do you think I $3 you',
        "You like to think I $3 you, don't you",
        'What makes you think I $3 you',
        'Really, I $3 you',
        'Do you wish to believe I $3 you',
        'Suppose I did $3 you, what would that mean',
        'Does someone else believe I $3 you',
      ),
      rule(
        '0 i 0',
        'We were discussing you, not me',
        'Oh, I $3',
        "You're not really talking about me, are you",
        'What are your feelings now',
      ),
    ],
  },
  {
    word: 'yes',
    rules: [rule('0', 'You seem quite positive', 'You are sure', 'I see', 'I understand')],
  },
  {
    word: 'no',
    rules: [
      rule(
        '0',
        "Are you saying 'no' just to be negative",
        'You are being a bit negative',
        'Why not',
        "Why 'no'",
      ),
    ],
  },
  {
    word: 'my',
    becomes: 'your',
    rank: 2,
    rules: [
      rule(
        '0 your 0 /family 0',
        'Tell me more about your family',
        'Who else in your family $5',
        'Your $4',
        'What else comes to mind when you think of your $4',
      ),
      rule(
        '0 your 0',
        'Your $3',
        'Why do you say your $3',
        'Does that suggest anything else which belongs to you',
        'Is it important to you that your $3',
      ),
    ],
  },
  {
    word: 'can',
    rules: [
      rule(
        '0 can i 0',
        "You believe I can $4, don't you",
        '=what',
        'You want me to be able to $4',
        'Perhaps you would like to be able to $4 yourself',
      ),
      rule(
        '0 can you 0',
        'Whether or not you can $4 depends on you more than on me',
        'Do you want to be able to $4',
        "Perhaps you don't want to $4",
        '=what',
      ),
    ],
  },
  { word: 'what', rules: [rule('0', ...what)] },
  {
    word: 'because',
    rules: [
      rule(
        '0',
        'Is that the real reason',
        "Don't any other reasons come to mind",
        'Does that reason seem to explain anything else',
        'What other reasons might there be',
      ),
    ],
  },
  {
    word: 'why',
    rules: [
      rule(
        "0 why don't i 0",
        "Do you believe I don't $5",
        'Perhaps I will $5 in good time',
        'Should you $5 yourself',
        'You want me to $5',
        '=what',
      ),
      rule(
        "0 why can't you 0",
        'Do you think you should be able to $5',
        'Do you want to be able to $5',
        'Do you believe this will help you to $5',
        "Have you any idea why you can't $5",
        '=what',
      ),
      rule('0', '=what'),
    ],
  },
  {
    word: 'everyone',
    rank: 2,
    rules: [
      rule(
        '0 everyone|everybody|nobody|noone 0',
        'Really, $2',
        'Surely not $2',
        'Can you think of anyone in particular',
        'Who, for example',
        'You are thinking of a very special person',
        'Who, may I ask',
        'Someone special perhaps',
        "You have a particular person in mind, don't you",
        "Who do you think you're talking about",
      ),
    ],
  },
  { word: 'everybody', rank: 2, sameAs: 'everyone' },
  { word: 'nobody', rank: 2, sameAs: 'everyone' },
  { word: 'noone', rank: 2, sameAs: 'everyone' },
  {
    word: 'always',
    rank: 1,
    rules: [
      rule(
        '0',
        'Can you think of a specific example',
        'When',
        'What incident are you thinking of',
        'Really, always',
      ),
    ],
  },
  {
    word: 'like',
    rank: 10,
    rules: [rule('0 am|is|are|was 0 like 0', '=alike'), rule('0', 'newkey')],
  },
];

/** What is said later about something that was said before, when nothing else fits (keyword `my`). */
export const memoryRules: readonly ElizaRule[] = [
  rule(
    '0 your 0',
    'Lets discuss further why your $3',
    'Earlier you said your $3',
    'But your $3',
    'Does that have anything to do with the fact that your $3',
  ),
];

export const nothingFits: readonly string[] = [
  'I am not sure I understand you fully',
  'Please go on',
  'What does that suggest to you',
  'Do you feel strongly about discussing such things',
];

export const greeting = 'How do you do. Please tell me your problem';
