"""What the made-up shop sells, to whom, on which devices, and how people write."""

CATALOGUE = {
    "Staples": [("Basmati Rice 5 kg", 649), ("आटा 10 किलो", 475), ("Toor Dal 1 kg", 168), ("பச்சரிசி 5 கிலோ", 410)],
    "Fruits & Vegetables": [
        ("Alphonso Mango 🥭 6 pcs", 540),
        ("प्याज़ 1 किलो", 38),
        ("Tomato 🍅 500 g", 24),
        ("కొత్తిమీర", 12),
    ],
    "Tea & Coffee": [("Masala Chai 250 g ☕", 185), ("Filter Coffee 500 g", 320), ("कड़क चाय 1 किलो", 520)],
    "Sweets": [("Gulab Jamun 1 kg", 245), ("রসগোল্লা ১২টি", 210), ("Kaju Katli 500 g", 480), ("Soan Papdi", 130)],
    "Snacks": [("Aloo Bhujia 400 g", 99), ("Banana Chips 🍌", 75), ("சீடை 250 கிராம்", 90), ("Nimko Mix 200 g", 60)],
    "Personal Care": [("Neem Soap 4 pcs", 120), ("Coconut Oil 500 ml 🥥", 215), ("शिकाकाई शैम्पू", 160)],
    "Home": [
        ("Steel Tiffin 3 tiers", 799),
        ("Agarbatti 100 sticks", 65),
        ("Pressure Cooker 5 l", 1849),
        ("Diya 🪔 12 pcs", 149),
    ],
    "Imported": [("抹茶 Matcha 100 g", 899), ("زيت زيتون 1 ل", 760), ("Café Crème 250 g", 540), ("김치 500 g", 450)],
}
SEARCHES = (
    "atta", "चावल", "milk near me", "diwali gifts 🪔", "பால்", "tea", "దోశ పిండి", "sugar free sweets", "কফি", "اچار",
    "organic honey 🍯", "baby food", "gluten-free", "gift for mom ❤️", "50% off", "pani puri kit", "ghee", "抹茶",
)  # fmt: skip
REVIEWS = (
    "Very fresh, will order again 👍", "बहुत बढ़िया 😍", "Packet was torn :(", "மிகவும் நன்றாக உள்ளது", "ਵਧੀਆ ਹੈ",
    "Late by 2 hours.\nBut the rider was kind.", "خوب است", "Value for money 💯", "অসাধারণ স্বাদ!", "Meh / so-so",
    'My mother calls it "the best"', "とても美味しい 🙏", "¡Riquísimo!", "👩‍👩‍👧‍👦 loves it", "ಚೆನ್ನಾಗಿದೆ",
)  # fmt: skip
FIRST_NAMES = (
    "Asha", "Ravi", "Fatima", "Arjun", "Meera", "Kabir", "Lakshmi", "Imran", "Priya", "Gurpreet", "अनन्या", "रोहन",
    "கவிதா", "முருகன்", "స్వాతి", "অমিত", "Zoya", "Joseph", "Nandini", "Vikram", "Sana", "Thomas", "Pooja", "Yusuf",
)  # fmt: skip
LAST_NAMES = (
    "Sharma", "Iyer", "Khan", "Patel", "Reddy", "Das", "Singh", "Nair", "D'Souza", "Mehta", "Banerjee", "Kulkarni",
    "Fernandes", "Gowda", "वर्मा", "Rao", "Chatterjee", "Joshi", "Pillai", "Qureshi",
)  # fmt: skip
CITIES = (
    ("Mumbai", 19.076, 72.878, 22), ("Pune", 18.520, 73.857, 14), ("Bengaluru", 12.972, 77.594, 18),
    ("Chennai", 13.083, 80.270, 11), ("Hyderabad", 17.385, 78.487, 11), ("Kolkata", 22.573, 88.364, 9),
    ("New Delhi", 28.614, 77.209, 10), ("Kochi", 9.931, 76.267, 5),
)  # fmt: skip
ANDROIDS = (
    ("Redmi Note 13", "14"), ("Galaxy M34", "14"), ("realme 12", "13"), ("vivo Y28", "14"), ("OnePlus Nord CE4", "15"),
    ("moto g54", "13"), ("POCO M6", "13"), ("Pixel 8a", "15"),
)  # fmt: skip
IPHONES = (("iPhone 13", "17.6"), ("iPhone 14", "18.1"), ("iPhone 15", "18.2"), ("iPhone SE", "17.5"))
CARRIERS = ("Jio", "Airtel", "Vi", "BSNL")
LANGUAGES = (("en", 46), ("hi", 26), ("ta", 9), ("te", 7), ("bn", 6), ("mr", 6))
APP_VERSIONS = ("8.1.0", "8.2.0", "8.2.1", "8.3.0")  # one after the other over the days
CAMPAIGNS = (
    ("Diwali Dhamaka 🪔", "Push"), ("Weekend Fruits 🥭", "Push"), ("आपका कार्ट इंतज़ार कर रहा है", "Push"),
    ("Chai Week ☕", "Push"), ("Flat ₹100 off", "Push"), ("We miss you ❤️", "Email"), ("New: Imported foods", "Push"),
)  # fmt: skip
SOURCES = (("google", "cpc"), ("instagram", "social"), ("whatsapp", "referral"), ("newsletter", "email"))
PAYMENTS = (("UPI", 58), ("Cash on delivery", 19), ("Credit Card", 12), ("Wallet", 8), ("Net banking", 3))
COUPONS = ("CHAI10", "FIRST100", "DIWALI25", "FREESHIP")

# Visits by local hour of the day: few at night, a morning peak, the highest one in the evening.
HOURS = (1, 1, 1, 1, 1, 3, 7, 12, 15, 14, 12, 12, 14, 13, 11, 11, 13, 17, 22, 26, 26, 20, 11, 4)
WEEKDAYS = (0.92, 0.9, 0.93, 0.97, 1.05, 1.2, 1.15)  # Monday first
