"""The sentences of junk pages."""

from __future__ import annotations

from glassmill.miniweb.chance import words

SPAM_TITLES = (
    "The truth about your neighbours {number}",
    "{number} things they do not tell you",
    "You will not believe this {number}",
    "Secrets of the town, number {number}",
    "Best offers of the week {number}",
    "Amazing facts {number}",
)

SPAM = (
    "Buy the cheapest watches in our store.",
    "Our pills make you slim in a week.",
    "This is the secret that doctors do not want you to know.",
    "Order today and get the second one for free.",
    "You can earn a thousand coins a day from home.",
    "Our customers are the happiest in the world.",
    "Tell your friends and win a phone.",
    "The offer ends at midnight, so hurry.",
    "Read it here before it is deleted.",
    "The newspapers never told you this.",
    "Get a loan without any questions.",
    "It works for everybody, and it is free.",
)
CALLS = ("Click here to buy now and save a lot of money.", "Order your cheap pills here without a doctor.",
         "Visit our store for the best deals of the day.", "Sign up for free and get rich with us today.")  # fmt: skip
TAGS = words("deal cheap watches free win best buy now sale pills loan rich luxury outlet discount offer")
TEASERS = (
    "And then she opened the door and saw",
    "Nobody could believe what the doctor did",
    "The second picture will shock you and",
    "Number seven is the best of all",
    "He found it in the garden and",
    "What happened next is hard to",
    "This is why you should never",
    "The reason will make you",
    "Most of the people do not know that",
    "They tried to hide this from you but",
    "A mother of two found the trick that",
    "Look at the face of the man who",
)

SALES_TITLES = {
    "gambling": ("Spin the wheel tonight", "Bonus for new players", "Jackpot of the week"),
    "adult": ("Singles in your street", "Meet somebody tonight", "For grown-ups only"),
    "malware": ("Your player is out of date", "Free download", "Your computer is slow"),
    "phishing": ("Please check your account", "A parcel waits for you", "Your refund is ready"),
}
SALES = {
    "gambling": (
        "Our tables are open all night, and the first bet is on the house.",
        "Put ten coins on red and leave with twenty.",
        "The slots have never paid more than they did this week.",
        "Every new player gets a bonus of fifty coins.",
        "The jackpot has grown again and waits for a winner.",
        "You can play cards with people from all over the country.",
        "It is easy to win if you know the game well.",
        "Our dealers are friendly and always awake.",
        "Bet on the boat race and win with the fastest crew.",
        "The wheel turns every minute of the day.",
        "Take your winnings home on the same evening.",
        "Many of our players come back every night.",
    ),
    "adult": (
        "Lonely hearts of the town meet here after dark.",
        "Look at the pictures of people who want to meet you.",
        "This site is only for those who are over eighteen.",
        "Flirt with somebody who lives near you tonight.",
        "Our cameras are on, and the lights are low.",
        "There are a hundred new members in your street.",
        "Write a warm letter and wait for a kiss.",
        "All of our members have checked pictures.",
        "The night is young, and so is the company.",
        "Send a rose to the one you like most.",
        "Nobody will know that you were here.",
        "The first chat is free for all gentlemen.",
    ),
    "malware": (
        "Your player is too old to show this film.",
        "Download the new version here and open the file.",
        "The program makes your computer faster at once.",
        "We found three problems on your disk, and you have to act.",
        "Switch off the virus guard before you start it.",
        "The toolbar is free and gives you the best of the web.",
        "A key for every program can be made with this tool.",
        "After the download the machine must be started again.",
        "Thousands of people have used the tool and are happy.",
        "The codec pack is needed to see the whole film.",
        "All drivers will be made new with one click.",
        "The file is small, and it is safe to open it.",
    ),
    "phishing": (
        "Dear customer, your account will be closed on Friday.",
        "Please enter your password and the number of your card to go on.",
        "We have seen a strange payment and must check who you are.",
        "Your parcel is waiting, but two coins of postage have to be paid.",
        "The tax office owes you money and wants to pay it today.",
        "It takes only a minute to confirm your name.",
        "If you do not answer, the money will be lost.",
        "The form below is safe and is checked by our bank.",
        "You must have your card in your hand when you begin.",
        "We will never ask you twice for the same number.",
        "A new device has signed in to your wallet.",
        "Type in the code that we have sent to your phone.",
    ),
}

BOILERPLATE = (
    "This page is best viewed in a window of the right size.",
    "All rights are reserved by the owner of this page.",
    "Please come back later, as this page is not ready.",
    "The content of this page may change at any time.",
    "Contact the owner of the page for more about it.",
    "Go back to the top of the page.",
)
LOREM = """dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et dolore magna aliqua
ut enim ad minim veniam quis nostrud exercitation ullamco laboris nisi ut aliquip ex ea commodo consequat"""
CODE = (
    "function step{n}(x) {{ return x + {n}; }}",
    "if (count > {n}) {{ count = 0; draw(count); }}",
    "for (let i = 0; i < {n}; i++) {{ list.push(i * {n}); }}",
    "body {{ margin: {n}px; color: #333; }}",
    "const town{n} = {{ name: 'x', size: {n} }};",
    "while (true) {{ wait({n}); }}",
)
MENU_FIRST = words("Cheap New Best Used All Small Big Top Old Local Daily Red Blue Green")
MENU_SECOND = words("Hats Shoes Maps Tools Books Lamps Chairs Clocks Toys Bags Boots Pens Rings Cups Coats Tables")
COOKIE = (
    "We use cookies and similar tools on this site.",
    "This site uses cookies to give you the best experience.",
    "Please accept the use of cookies to go on.",
    "Read our cookie policy for the details.",
    "Our privacy policy tells you what we do with your data.",
    "By going on you accept our terms of use.",
    "Accept all.",
    "Only what is needed.",
    "Choose for yourself.",
    "You need to enable javascript to see this page.",
    "Our partners use cookies to measure what you read.",
)
ERRORS = (
    "The page that you asked for does not exist. Go back to the start page.",
    "Error 404. Nothing was found here. Maybe the address is wrong.",
    "Sorry, this page has moved or was deleted.",
)
SALAD = words(
    """
    bridge lamp window river stone paper silver market garden winter engine pocket ladder orange button mirror
    forest candle violin anchor barrel copper saddle turnip feather whistle blanket thunder castle pepper
    needle bucket lantern marble shovel ribbon carpet pillow hammer basket velvet wagon cellar pebble kettle
    spider tunnel walnut
    """
)
