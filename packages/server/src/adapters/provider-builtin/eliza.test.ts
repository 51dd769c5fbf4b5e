import fc from 'fast-check';
import { expect, test } from 'vitest';
import { eliza } from './eliza.ts';

/** The conversation of the paper (CACM 9(1), p. 36), with the answers as printed but for capitals and punctuation. */
const published = [
  ['Men are all alike.', 'In what way?'],
  ["They're always bugging us about something or other.", 'Can you think of a specific example?'],
  ['Well, my boyfriend made me come here.', 'Your boyfriend made you come here.'],
  ["He says I'm depressed much of the time.", 'I am sorry to hear you are depressed.'],
  ["It's true. I am unhappy.", 'Do you think coming here will help you not to be unhappy?'],
  ['I need some help, that much seems certain.', 'What would it mean to you if you got some help?'],
  ['Perhaps I could learn to get along with my mother.', 'Tell me more about your family.'],
  ['My mother takes care of me.', 'Who else in your family takes care of you?'],
  ['My father.', 'Your father.'],
  ['You are like my father in some ways.', 'What resemblance do you see?'],
  [
    "You are not very aggressive but I think you don't want me to notice that.",
    'What makes you think I am not very aggressive?',
  ],
  ["You don't argue with me.", "Why do you think I don't argue with you?"],
  ['You are afraid of me.', 'Does it please you to believe I am afraid of you?'],
  ['My father is afraid of everybody.', 'What else comes to mind when you think of your father?'],
  ['Bullies.', 'Lets discuss further why your boyfriend made you come here.'],
] as const;

test('the conversation of 1966 goes as it was printed', () => {
  const said = published.map(([turn]) => turn);
  published.forEach(([, answer], i) => expect(eliza(said.slice(0, i + 1))).toBe(answer));
});

test('the same conversation always gets the same answer, and any text gets one', () => {
  fc.assert(
    fc.property(fc.array(fc.string(), { maxLength: 6 }), (turns) => {
      const answer = eliza(turns);
      return answer.length > 0 && answer === eliza(turns);
    }),
  );
});

test('a giant text is answered quickly', () => {
  expect(eliza([`i ${'you want '.repeat(100_000)} me`])).toMatch(/\w/);
});
