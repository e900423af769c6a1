"""Relations about where something is, and what it looks like or is made of."""

from hrm_model.training.grounded.relations.relation import ANYTHING, HUMANS, SITES, Relation

PLACES = (
    Relation("location", "location", "where", ("thing", "facility", "event", "body", "company"), "location", """
        {s} {is} [located|situated|found|housed|kept] in {v}
        you [can|will] find {s} in {v}
        {v} is [home to|the site of|where you find] {s}
        the location of {s} is {v}
        {s} [sit{z}|stand{z}] in {v}
        {s} [{was} moved|{was} relocated|moved] to {v}
        in {v} you [can find|come across|will see] {s}
        {p} [place|location|seat] is {v}
        """, """
        where {is} {s}
        where {is} {s} [located|situated|found|housed|kept]
        where [can|do|will] I find {k}
        in which [place|location] {is} {s}
        =the location of {s}
        where {does} {s} stand
        which [place|spot] should I go to for {k}
        {k} [location|where]
        """),
    Relation("storage", "location", "room", ("thing", "mass"), "storage place", """
        {s} {is} [stored|kept|filed|held|archived|locked away] in {v}
        {v} [holds|contains|houses] {s}
        we [store|keep|file] {s} in {v}
        the [storage place|right place] for {s} is {v}
        [put|leave|place|return] {s} in {v}
        {s} belong{z} in {v}
        """, """
        where {is} {s} [stored|kept|filed|held|archived]
        where do [we|you|I] [store|keep|file|put|leave] {k}
        in which [place|room] {is} {s} [stored|kept]
        =the [storage place|place] for {s}
        where {does} {s} belong
        where should {s} be [put|placed|returned|left]
        """),
    Relation("venue", "location", "where", ("event",), "venue", """
        {s} [take{z} place|{is} held|will be held|happen{z}] in {v}
        {v} [hosts|will host|is the venue for] {s}
        the venue [of|for] {s} is {v}
        {s} {was} moved to {v}
        we [meet|gather] in {v} for {s}
        """, """
        where {does} {s} take place
        where {is} {s} held
        =the venue [of|for] {s}
        which [place|venue] hosts {s}
        where do [we|people] [meet|gather|go] for {k}
        where will {s} happen
        """),
    Relation("home", "home", "place", ("person",), "home", """
        {s} lives in {v}
        {s} [has a home|resides|settled|has a flat] in {v}
        {v} is where {s} lives
        {p} home is in {v}
        {s} moved to {v}
        the home of {s} is in {v}
        """, """
        where does {s} live
        in which [town|city|place] does {s} [live|reside]
        =the home [town|] of {s}
        where is the home of {s}
        what place did {s} move to
        """),
    Relation("birthplace", "birth place", "place", ("person",), "place of birth", """
        {s} was born in {v}
        {s} comes from {v}
        {v} is the birthplace of {s}
        {s} is a native of {v}
        {p} place of birth is {v}
        {s} [grew up|spent the first years] in {v}
        """, """
        where was {s} born
        where does {s} come from
        =the [birthplace|place of birth|home town] of {s}
        where did {s} grow up
        in which town was {s} born
        """),
    Relation("headquarters", "location", "place", ("company", "body"), "headquarters", """
        {s} {is} [based|headquartered] in {v}
        {s} {has} its [headquarters|head office|main office|seat] in {v}
        the [head office|headquarters|main office] of {s} is in {v}
        {v} is the [seat|home] of {s}
        {s} [operates|works] from {v}
        """, """
        where {is} {s} [based|headquartered]
        =the [headquarters|head office|seat] of {s}
        in which [town|city] {is} {s} based
        where {does} {s} have its [head office|main office]
        from where {does} {s} operate
        """),
    Relation("material", "material", "material", ("thing", "facility"), "material", """
        {s} {is} [made of|built of|made from|built from] {v}
        {v} is [used for|the material of] {s}
        the material of {s} is {v}
        {s} consist{z} of {v}
        [they|we|the workers] [make|build] {s} [from|out of] {v}
        {s} {is} covered with {v}
        """, """
        what {is} {s} [made of|built of|made from|built from]
        =the material [of|used for] {s}
        of which material {is} {s} [made|built]
        what {does} {s} consist of
        what material is used for {k}
        """),
    Relation("colour", "colour", "colour", ("thing", "product", "facility"), "colour", """
        {s} {is} [painted|coloured|printed in] {v}
        the colour of {s} is {v}
        {s} come{z} in {v}
        {v} is the colour [of|for|chosen for] {s}
        {s} {has} a {v} [surface|cover|finish]
        [we|they] painted {s} {v}
        """, """
        what colour {is} {s}
        =the colour of {s}
        which colour {does} {s} have
        in which colour {is} {s} [painted|printed|sold]
        {k} colour
        """),
    Relation("category", "category", "category", ANYTHING, "category", """
        {s} {is} [classified|rated|marked|listed|labelled] as {v}
        the [category|class|status] of {s} is {v}
        {s} count{z} as {v}
        {v} is the [class|status|label] of {s}
        we [treat|regard|classify] {s} as {v}
        {s} [{is} considered|{is} deemed] {v}
        """, """
        how {is} {s} [classified|rated|marked|listed|labelled|treated]
        =the [category|class|status|classification] of {s}
        [which|what] [class|category|status] {does} {s} [have|belong to]
        as what {does} {s} count
        what {is} {s} considered to be
        """),
    Relation("size", "capacity", "quantity", (*SITES, "product", "thing"), "capacity", """
        {s} {has} [room|space] for {v}
        {s} [hold{z}|seat{z}|take{z}|accommodate{z}] [up to|] {v}
        the capacity of {s} is {v}
        {v} fit [in|into|on] {s}
        {s} [{is} designed for|can take|can serve] {v}
        up to {v} can use {s}
        """, """
        =the capacity of {s}
        how many fit [in|into] {s}
        how [large|big] {is} {s}
        how many can {s} [hold|seat|take|accommodate|serve]
        for how many {is} {s} designed
        """),
    Relation("distance", "distance", "distance", SITES, "distance", """
        {s} {is} {v} [away|from the station|from the main gate|from here]
        the distance to {s} is {v}
        it is {v} to {s}
        {s} lie{z} {v} [outside the town|to the north|to the south|from the coast]
        {v} separate us from {s}
        you [walk|travel|drive] {v} to reach {s}
        """, """
        how far [away|] {is} {s}
        =the distance to {s}
        how far is it to {s}
        at what distance {is} {s}
        how far do I [walk|travel|drive] to reach {s}
        """),
    Relation("height", "height", "distance", ("thing", "facility"), "height", """
        {s} {is} {v} [high|tall]
        the height of {s} is {v}
        {s} rise{z} {v} above the ground
        with {v}, {s} {is} the tallest [around|of all|here]
        {s} reach{es} a height of {v}
        {s} measure{z} {v} from top to bottom
        """, """
        how [high|tall] {is} {s}
        =the height of {s}
        what height {does} {s} [have|reach]
        how far {does} {s} rise above the ground
        """),
    Relation("weight", "weight", "weight", ("thing", "product"), "weight", """
        {s} weigh{z} {v}
        the weight of {s} is {v}
        {s} {has} a weight of {v}
        {s} bring{z} {v} to the scales
        with {v}, {s} {is} the heaviest
        {v} is [what {s} weigh{z}|the weight of {s}]
        """, """
        how [much does {k} weigh|heavy {is} {s}]
        =the weight of {s}
        what {does} {s} weigh
        what weight {does} {s} have
        """),
    Relation("temperature", "temperature", "temperature", ("thing", "facility", "mass", "place"), "temperature", """
        {s} {is} kept at {v}
        the temperature [of|in] {s} is {v}
        {s} {is} [heated|cooled|set] to {v}
        {s} must not [get warmer than|exceed] {v}
        thermometers show {v} for {s}
        """, """
        =the temperature [of|in|for] {s}
        at what temperature {is} {s} kept
        how [warm|hot|cold] {is} {s}
        to what temperature {is} {s} [heated|cooled|set]
        """),
    Relation("destination", "destination", "place", ("event", "thing", "person", "group"), "destination", """
        {s} [go{es}|travel{z}|head{z}] to {v}
        the destination of {s} is {v}
        {s} {is} [bound for|on the way to|sent to|going to] {v}
        {v} is where {s} [go{es}|end{z} up]
        {s} will be [taken|sent|shipped] to {v}
        """, """
        where {does} {s} [go|travel|head] to
        =the destination of {s}
        where {is} {s} [sent|bound|going]
        to which [place|town] {does} {s} go
        """),
    Relation("population", "population", "count", ("place",), "population", """
        {s} has {v} [inhabitants|residents]
        the population of {s} is {v}
        {v} people live in {s}
        {s} is home to {v} people
        {s} counts {v} inhabitants
        """, """
        =the population of {s}
        how many [people|inhabitants|residents] live in {s}
        how many [inhabitants|residents|people] does {s} have
        how [large|big] is the population of {s}
        """),
    Relation("website", "url", "url", ANYTHING, "website", """
        [the form|the guide|information|more] [about|on|for] {s} is at {v}
        {s} can be found online at {v}
        the website [of|for] {s} is {v}
        visit {v} for {s}
        {v} has [details|everything] [about|on] {s}
        {s} {is} [requested|described|published|explained] at {v}
        """, """
        =the [website|web address|web page|link|URL] [of|for] {s}
        which [website|page|link] [is for|describes|has] {s}
        where online can I find {k}
        at which web address {is} {s} [found|described]
        where on the web is {k}
        """),
    Relation("uses", "used system", "product", HUMANS, "tool", """
        {s} [use{z}|work{z} with|rely on|prefer{z}] {v}
        {v} is used by {s}
        {s} do{es} the work in {v}
        the [software|system] used by {s} is {v}
        {s} {has} switched to {v}
        """, """
        which [software|system|program|product] {does} {s} use
        what {does} {s} work with
        =the [software|system|program] used by {s}
        to which [system|program] {has} {s} switched
        """),
)  # fmt: skip
