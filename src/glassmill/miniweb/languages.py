"""Pages in German, French, Spanish and Italian, and pages that change language in the middle.

The sentences are about the river country in general; none names a subject of the town. Slots: {day} and {number}.
"""

from __future__ import annotations

import random

from glassmill.miniweb.chance import words
from glassmill.miniweb.page import Block
from glassmill.miniweb.pages import Draft
from glassmill.miniweb.prose import Narrator, paragraph

LANGUAGES = ("de", "fr", "es", "it")

DAYS = {
    "de": words("Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag"),
    "fr": words("lundi mardi mercredi jeudi vendredi samedi dimanche"),
    "es": words("lunes martes miércoles jueves viernes sábado domingo"),
    "it": words("lunedì martedì mercoledì giovedì venerdì sabato domenica"),
}

TITLES = {
    "de": ("Neues vom Fluss", "Der Markt am {day}", "Das Wetter der Woche", "Ein Fest im Dorf", "Die alte Brücke"),
    "fr": (
        "Des nouvelles du lac",
        "Le marché de {day}",
        "Le temps de la semaine",
        "Une fête au village",
        "Le vieux pont",
    ),
    "es": (
        "Noticias del puerto",
        "El mercado del {day}",
        "El tiempo de la semana",
        "Una fiesta en el pueblo",
        "El puente viejo",
    ),
    "it": (
        "Notizie dalla piazza",
        "Il mercato di {day}",
        "Il tempo della settimana",
        "Una festa in paese",
        "Il vecchio ponte",
    ),
}

SENTENCES = {
    "de": (
        "Am {day} war der Markt so voll wie lange nicht mehr.",
        "Die Brücke über den Fluss wird in diesem Sommer neu gestrichen.",
        "Viele Besucher kamen mit dem Zug und blieben bis zum Abend.",
        "Der Bürgermeister dankte allen, die beim Fest geholfen hatten.",
        "Im Garten hinter der Kirche blühen schon die ersten Rosen.",
        "Wer am {day} noch Karten möchte, sollte früh kommen.",
        "Das Wasser ist nach dem Regen um {number} Zentimeter gestiegen.",
        "Die Kinder haben den ganzen Nachmittag am Ufer gespielt.",
        "Niemand weiß genau, wie alt die Mühle wirklich ist.",
        "In der Bäckerei gibt es jetzt auch Brot aus dunklem Mehl.",
        "Der Lehrer erzählte eine Geschichte aus der Zeit seines Großvaters.",
        "Seit {number} Jahren singt der Chor in der kleinen Kapelle.",
        "Wir haben mit den Fischern gesprochen, die jeden Morgen hinausfahren.",
        "Es wird kälter, und die Vögel ziehen langsam nach Süden.",
        "Auf dem Platz stehen neue Bänke, die aus Eichenholz gemacht sind.",
        "Die Bücherei bleibt am {day} wegen der Inventur geschlossen.",
        "Ein Hund lief durch die Straße und suchte seinen Herrn.",
        "Die Preise für Äpfel und Birnen sind in diesem Jahr niedrig.",
        "Später tanzten alle, und die Musik war bis zum Wald zu hören.",
        "Man sagt, dass der Winter dieses Mal sehr lang werden könnte.",
        "Der alte Turm ist wieder offen, aber die Treppe ist steil.",
        "Über den Streit um die neue Straße wurde lange gesprochen.",
    ),
    "fr": (
        "Le marché de {day} était plus animé que jamais.",
        "Le pont sur la rivière sera repeint pendant l'été.",
        "Beaucoup de visiteurs sont arrivés en train et sont restés jusqu'au soir.",
        "Le maire a remercié tous ceux qui avaient aidé à préparer la fête.",
        "Dans le jardin derrière l'église, les premières roses sont déjà ouvertes.",
        "Ceux qui veulent encore des billets pour {day} doivent venir tôt.",
        "Après la pluie, l'eau du lac a monté de {number} centimètres.",
        "Les enfants ont joué toute l'après-midi au bord de l'eau.",
        "Personne ne sait exactement quel âge a le moulin.",
        "La boulangerie propose maintenant un pain à la farine noire.",
        "L'instituteur a raconté une histoire du temps de son grand-père.",
        "Depuis {number} ans, la chorale chante dans la petite chapelle.",
        "Nous avons parlé avec les pêcheurs qui partent chaque matin.",
        "Il fait plus froid, et les oiseaux s'en vont vers le sud.",
        "Sur la place, on a mis des bancs neufs en bois de chêne.",
        "La bibliothèque restera fermée {day} à cause de l'inventaire.",
        "Un chien courait dans la rue et cherchait son maître.",
        "Les prix des pommes et des poires sont bas cette année.",
        "Plus tard, tout le monde a dansé et on entendait la musique jusqu'à la forêt.",
        "On dit que l'hiver pourrait être très long cette fois.",
        "La vieille tour est ouverte, mais l'escalier est raide.",
        "On a longtemps parlé de la querelle sur la nouvelle route.",
    ),
    "es": (
        "El mercado del {day} estaba más lleno que nunca.",
        "El puente sobre el río será pintado de nuevo este verano.",
        "Muchos visitantes llegaron en tren y se quedaron hasta la noche.",
        "El alcalde dio las gracias a todos los que habían ayudado en la fiesta.",
        "En el jardín detrás de la iglesia ya florecen las primeras rosas.",
        "Quien quiera entradas para el {day} tiene que venir temprano.",
        "Después de la lluvia, el agua subió {number} centímetros.",
        "Los niños jugaron toda la tarde a la orilla del mar.",
        "Nadie sabe con certeza cuántos años tiene el molino.",
        "En la panadería ahora también hay pan de harina oscura.",
        "El maestro contó una historia de los tiempos de su abuelo.",
        "Desde hace {number} años el coro canta en la pequeña capilla.",
        "Hemos hablado con los pescadores que salen cada mañana.",
        "Hace más frío, y los pájaros se van hacia el sur.",
        "En la plaza hay bancos nuevos, hechos de madera de roble.",
        "La biblioteca estará cerrada el {day} por el inventario.",
        "Un perro corría por la calle y buscaba a su dueño.",
        "Los precios de las manzanas y las peras son bajos este año.",
        "Más tarde bailaron todos, y la música se oía hasta el bosque.",
        "Se dice que el invierno podría ser muy largo esta vez.",
        "La vieja torre está abierta, pero la escalera es muy empinada.",
        "Se habló mucho de la pelea por la nueva carretera.",
    ),
    "it": (
        "Il mercato di {day} era più affollato che mai.",
        "Il ponte sul fiume sarà dipinto di nuovo quest'estate.",
        "Molti visitatori sono arrivati in treno e sono rimasti fino a sera.",
        "Il sindaco ha ringraziato tutti quelli che avevano aiutato alla festa.",
        "Nel giardino dietro la chiesa fioriscono già le prime rose.",
        "Chi vuole ancora i biglietti per {day} deve venire presto.",
        "Dopo la pioggia l'acqua è salita di {number} centimetri.",
        "I bambini hanno giocato tutto il pomeriggio sulla riva.",
        "Nessuno sa esattamente quanti anni abbia il mulino.",
        "Al forno adesso c'è anche il pane di farina scura.",
        "Il maestro ha raccontato una storia dei tempi di suo nonno.",
        "Da {number} anni il coro canta nella piccola cappella.",
        "Abbiamo parlato con i pescatori che escono ogni mattina.",
        "Fa più freddo, e gli uccelli volano verso il sud.",
        "In piazza ci sono panchine nuove, fatte di legno di quercia.",
        "La biblioteca resterà chiusa {day} per l'inventario.",
        "Un cane correva per la strada e cercava il suo padrone.",
        "I prezzi delle mele e delle pere sono bassi quest'anno.",
        "Più tardi hanno ballato tutti, e la musica si sentiva fino al bosco.",
        "Si dice che l'inverno potrebbe essere molto lungo questa volta.",
        "La vecchia torre è di nuovo aperta, ma la scala è ripida.",
        "Si è parlato a lungo della lite per la nuova strada.",
    ),
}


def foreign_page(language: str, rng: random.Random) -> Draft:
    """A page of nine to fourteen sentences in one of the four languages."""
    sentences = _sentences(language, rng.randint(9, 14), rng)
    cut = rng.randint(3, len(sentences) - 3)
    title = rng.choice(TITLES[language]).format(day=rng.choice(DAYS[language]))
    return Draft(title, (Block("p", " ".join(sentences[:cut])), Block("p", " ".join(sentences[cut:]))))


def mixed_page(language: str, narrator: Narrator) -> Draft:
    """English and another language, a paragraph each: whether it stays is the bound's affair."""
    rng = narrator.rng
    first, second = narrator.people(2)
    english = paragraph([*narrator.tell(first, 5), narrator.filler(), *narrator.tell(second, 4)])
    foreign = " ".join(_sentences(language, rng.randint(1, 9), rng))
    blocks = [Block("p", english.text), Block("p", foreign)]
    rng.shuffle(blocks)
    title = rng.choice(TITLES[language]).format(day=rng.choice(DAYS[language]))
    return Draft(title, tuple(blocks), english.facts)


def _sentences(language: str, count: int, rng: random.Random) -> list[str]:
    chosen = rng.sample(SENTENCES[language], count)
    return [sentence.format(day=rng.choice(DAYS[language]), number=rng.randint(3, 90)) for sentence in chosen]
