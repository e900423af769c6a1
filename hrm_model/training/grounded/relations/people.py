"""Relations whose answer is somebody, or that are about somebody."""

from hrm_model.training.grounded.relations.relation import ANYTHING, HUMANS, SITES, Relation

PEOPLE = (
    Relation("responsible", "charge", "who", ANYTHING, "responsible", """
        {v} is [responsible for|in charge of|accountable for] {s}
        {s} {is} [managed|run|led|headed|looked after|overseen] by {v}
        {v} [manages|runs|leads|heads|oversees|looks after|takes care of] {s}
        responsibility for {s} [lies|rests] with {v}
        {s} {is} [the responsibility of|in the hands of|under the control of] {v}
        [questions|enquiries] about {s} [go to|are answered by|should be sent to] {v}
        the [manager|head|leader|person in charge] of {s} is {v}
        {v} has been [put in charge of|made responsible for|chosen to lead] {s}
        the job of [running|leading|managing] {s} [belongs to|falls to|was given to] {v}
        {s} {has} {v} as [its head|the person in charge|the lead]
        """, """
        who is [responsible for|in charge of|accountable for] {s}
        who [manages|runs|leads|heads|oversees|looks after|takes care of] {s}
        who do I [contact|ask|talk to|turn to] about {k}
        by whom {is} {s} [managed|run|led]
        whose [responsibility|job|task] {is} {s}
        =the [person in charge|manager|head|leader] of {s}
        =the person responsible for {s}
        who takes care of {k}
        who {is} {s} led by
        who has the responsibility for {k}
        {k} [contact person|responsible|who is in charge]
        """),
    Relation("approves", "approval", "who", ANYTHING, "approval", """
        {v} [approves|authorises|signs off|must approve|has to approve] {s}
        {s} [must be|{is}|{has} to be] [approved|authorised|signed off|confirmed] by {v}
        {s} [need{z}|require{z}] the [approval|consent|signature|agreement] of {v}
        [approval|consent|authorisation] for {s} is [given|granted] by {v}
        only {v} [may|can] [approve|authorise|sign off] {s}
        without the [approval|consent] of {v}, {s} cannot go ahead
        the decision on {s} is [made|taken] by {v}
        {v} decides [on|about] {s}
        """, """
        who [approves|authorises|signs off|must approve] {s}
        who [has to|must|can|may] [approve|authorise|sign off|agree to] {s}
        whose [approval|consent|signature|permission] {does} {s} need
        by whom must {s} be approved
        who [gives|grants] [approval|permission] for {k}
        who decides [on|about] {k}
        =the person who [approves|authorises] {s}
        who needs to say yes to {k}
        """),
    Relation("created", "origin", "person", ("thing", "product", "facility", "company", "body"), "author", """
        {s} {was} [designed|created|invented|built|developed|made|founded|started] by {v}
        {v} [designed|created|invented|built|developed|made|came up with|set up] {s}
        {s} [go{es} back to|{is} the work of|{was} the idea of] {v}
        {v} is the [creator|author|inventor|designer|maker] of {s}
        it was {v} who [created|designed|invented|made] {s}
        the [creator|designer|maker] of {s} is {v}
        """, """
        who [designed|created|invented|built|developed|made|set up] {s}
        who came up with {k}
        by whom {was} {s} [created|designed|made]
        =the [creator|author|inventor|designer|maker] of {s}
        whose [idea|work|invention] {was} {s}
        who is behind {k}
        """),
    Relation("employer", "employer", "company", ("person",), "employer", """
        {s} works for {v}
        {s} is employed [by|at] {v}
        {v} employs {s}
        {s} [has a job at|has a post at|is on the staff of|is with] {v}
        {p} employer is {v}
        {s} [joined|was hired by|was taken on by] {v}
        """, """
        who does {s} work for
        [where|at which company] does {s} work
        which company [employs|hired] {s}
        who employs {s}
        =the employer of {s}
        by which [company|organisation] is {s} employed
        """),
    Relation("position", "position", "role", ("person",), "position", """
        {s} is {v} [at the company|of the group|there]
        {s} [works as|serves as|acts as|was appointed as|was hired as] {v}
        {v} [at the company|of the group|there] is {s}
        the [post|position|office] of {v} is held by {s}
        {s} [took over as|became|was named] {v}
        """, """
        what [is the job of|is the position of|is the role of] {s}
        which [position|post|role|office] does {s} [hold|have]
        =the [job|position|role|job title] of {s}
        what does {s} [work as|do for a living]
        as what was {s} [hired|appointed]
        """),
    Relation("member_of", "unit", "department", HUMANS, "department", """
        {s} belong{z} to {v}
        {s} {is} [part of|in|a member of|assigned to] {v}
        {s} work{z} in {v}
        {v} is where {s} work{z}
        {s} [moved to|joined|was transferred to] {v}
        {s} [fall{z} under|{is} attached to] {v}
        """, """
        which [department|team|unit] {does} {s} [belong to|work in]
        =the [department|team|unit] of {s}
        what [department|team] {is} {s} in
        to which [department|team] {does} {s} belong
        where in the company {does} {s} work
        """),
    Relation("deputy", "deputy", "person", (*HUMANS, "body"), "deputy", """
        the deputy of {s} is {v}
        {v} [stands in for|deputises for|covers for|replaces] {s} during [absences|holidays|illness]
        {s} {is} represented by {v}
        when {s} {is} away, {v} [takes over|steps in|fills in]
        in the absence of {s}, contact {v}
        {v} is the [deputy|stand-in|substitute] for {s}
        {p} deputy is {v}
        """, """
        who [stands in for|deputises for|covers for|replaces|represents] {s}
        =the [deputy|stand-in|substitute] [of|for] {s}
        who takes over when {s} {is} away
        who is the deputy of {s}
        by whom {is} {s} represented
        who fills in for {k}
        """),
    Relation("supplier", "supplier", "company", ("thing", "mass", "product", "facility"), "supplier", """
        {v} [supplies|provides|delivers|makes|manufactures] {s}
        {s} {is} [supplied|provided|delivered|made|manufactured] by {v}
        {s} come{z} from {v}
        we [buy|order|get|source] {s} from {v}
        the [supplier|provider|manufacturer|vendor] of {s} is {v}
        {s} {is} [bought|ordered|obtained] from {v}
        the contract for {s} [went to|was won by|was awarded to] {v}
        """, """
        who [supplies|provides|delivers|makes|manufactures] {s}
        which company [supplies|provides|makes|delivers] {s}
        =the [supplier|provider|manufacturer|vendor] of {s}
        from whom do we [buy|order|get] {s}
        where {does} {s} come from
        by [whom|which company] {is} {s} [made|supplied]
        """),
    Relation("email", "email", "email", ANYTHING, "e-mail", """
        the [e-mail|email] address [of|for] {s} is {v}
        {s} can be reached at {v}
        write to {v} about {s}
        [messages|e-mails|mail] about {s} [go to|should be sent to] {v}
        send [an e-mail|a message] to {v} if you [need help with|have questions about] {s}
        for {s}, [use|write to|contact] {v}
        {v} is the address for {s}
        """, """
        =the [e-mail|email] address [of|for] {s}
        which [e-mail|email] address [do I use|should I use|is used] for {k}
        where do I write [to|] about {k}
        to which address do I send [an e-mail|a message] about {k}
        how can I [e-mail|write to] someone about {k}
        how [do|can] I [reach|contact] {s} by [e-mail|email]
        {k} [e-mail|email]
        """),
    Relation("phone", "phone", "phone", (*ANYTHING, "person"), "phone", """
        the [phone|telephone] number [of|for] {s} is {v}
        {s} can be [called|reached by phone|phoned] on {v}
        call {v} [about|for help with|for] {s}
        for {s}, [dial|ring|call|phone] {v}
        {v} is the [number|hotline|line] for {s}
        to reach {s} by phone, dial {v}
        [calls|questions by phone] about {s} are taken on {v}
        """, """
        =the [phone|telephone] number [of|for] {s}
        which number do I [call|dial|ring] for {k}
        on [which|what] number can {s} be [called|reached]
        how [do|can] I [reach|contact] {s} by [phone|telephone]
        what number do I [dial|call] about {k}
        {k} [phone|telephone|phone number|hotline]
        """),
    Relation("owner", "owner", "who", SITES, "owner", """
        {s} belong{z} to {v}
        {v} owns {s}
        the owner of {s} is {v}
        {s} {is} [owned by|the property of] {v}
        {v} [bought|acquired|took over|purchased] {s}
        {s} {was} [bought|acquired|sold to|purchased by] {v}
        """, """
        who [owns|bought|acquired] {s}
        to whom {does} {s} belong
        =the owner of {s}
        who {does} {s} belong to
        by whom {is} {s} owned
        whose property {is} {s}
        """),
)  # fmt: skip
