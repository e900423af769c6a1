"""Common nouns by kind, and the phrases that combine them: open-ended subjects without a name."""

# ruff: noqa: E501  (word lists and wordings read better in long lines)

from collections.abc import Sequence
from functools import cache

from hrm_model.training.grounded.names import is_held_out
from hrm_model.training.grounded.wording import listed

MODIFIERS = listed("""
glass premium night visitor travel household server expense dental claims policy customer customs garden storm water
fire theft damage liability pension salary overtime holiday parental sick remote office branch regional central
external internal temporary permanent annual monthly weekly daily quarterly junior senior spare mobile digital paper
printed electronic encrypted public private shared secure locked upper lower northern southern eastern western front
rear main side basement rooftop ground first second third medical legal financial technical clinical chemical
electrical mechanical solar wind gas oil steam diesel electric hybrid freight cargo passenger express regional local
national foreign domestic export import retail wholesale online offline postal courier parcel letter invoice payment
refund credit debit cash cheque tax audit budget cost loan mortgage rental lease purchase sales marketing press news
product project team staff employee contractor supplier vendor partner client member guest student teacher school
library museum laboratory hospital clinic pharmacy kitchen canteen coffee tea lunch breakfast dinner conference
training safety security emergency evacuation rescue backup archive record contract tender proposal project planning
research survey quality test pilot launch winter summer spring autumn weekend evening morning afternoon early late
long short heavy light large small medium premium basic standard special family couple single group corporate business
commercial industrial agricultural forest river lake mountain coastal island desert city village street bridge tunnel
road railway harbour airport ferry bus tram train bicycle car truck van motorcycle boat ship aircraft drone satellite
telescope microscope camera printer scanner laptop desktop tablet phone network wireless cable software hardware
database cloud web email password login access identity key badge parking furniture carpet window door roof wall floor
ceiling lift stair heating cooling cleaning waste recycling laundry uniform tool machine engine pump valve pipe filter
battery cell bone blood heart skin eye hearing allergy vaccine diet fitness sports football tennis swimming music
choir theatre film book magazine poetry art painting sculpture wool cotton silk leather steel copper iron silver gold
wooden plastic stone marble ceramic rubber concrete brick sand salt sugar flour rice wheat maize apple cherry lemon
olive grape potato tomato cheese milk butter bread fish poultry cattle horse sheep dog cat bee bird whale seed soil
crop harvest grain honey legacy customer-facing high-risk low-cost long-term short-term part-time full-time fixed-term
cross-border in-house third-party whistleblower onboarding exit probation mentoring appraisal bonus relocation
commuting childcare eldercare volunteering study language jury bereavement unpaid compassionate hail flood earthquake
landslide burglary vandalism collision windscreen towing breakdown roadside baggage cancellation reinsurance
underwriting actuarial solvency treasury ledger payroll procurement inventory warehouse loading packing dispatch
return warranty repair maintenance inspection calibration compliance privacy consent disclosure retention deletion
incident complaint escalation settlement arbitration mediation court notary power
""")
THINGS = listed("""
claim refund badge booking policy report plan card form account contract licence permit certificate ticket voucher invoice receipt statement letter
parcel package delivery order subscription membership allowance benefit bonus loan deposit payment transfer fee cheque grant pension premium excess
laptop phone tablet printer scanner camera projector monitor headset keyboard charger battery cable router server firewall database backup archive folder
file key lock alarm sensor meter pump valve filter boiler heater fan lamp generator turbine engine motor machine drill saw ladder crane forklift trolley
pallet container crate box barrel tank bottle jar bag uniform helmet jacket glove boot mask blanket mattress chair desk table shelf cabinet locker safe
door gate window fence roof wall bridge tunnel road path garden tree hedge pond fountain statue painting vase clock watch ring necklace coin stamp book
magazine newspaper map guide manual handbook leaflet poster brochure newsletter form questionnaire survey application request complaint appeal proposal
offer tender quote budget forecast invoice ledger account sample specimen vaccine tablet cream drug dose kit device instrument telescope microscope
vehicle car van truck bus tram train bicycle scooter boat ferry ship aircraft drone satellite rocket probe robot engine sail anchor tent backpack rope
cake loaf soup salad sandwich cheese wine beer juice tea coffee meal snack dessert recipe crop seed plant flower herb tree animal dog cat horse bird fish
room pass parking_permit key_card password token login mailbox calendar website app portal dashboard module update patch licence_key test exam course
""")
EVENTS = listed("""
meeting training audit inspection course workshop seminar conference exam interview review hearing trial ceremony
festival concert exhibition auction tournament race match rehearsal drill evacuation rollout launch migration upgrade
outage shutdown sale campaign election vote survey study experiment expedition excursion tour trip voyage flight shift
session lecture lesson briefing webinar reception dinner picnic fair market parade strike negotiation
""")
FACILITIES = listed("""
office canteen archive warehouse laboratory workshop garage depot library museum gallery theatre clinic pharmacy
hospital school nursery gym pool stadium station terminal harbour airport bridge tower lighthouse castle chapel garden
park reserve farm vineyard mill factory plant mine quarry dam shop bakery restaurant cafe hotel hostel campsite
helpdesk reception server_room meeting_room car_park data_centre call_centre showroom studio boardroom mailroom
hotline counter kiosk service_desk branch storeroom lounge courtyard pavilion greenhouse observatory workshop bank
post_office
""")
PEOPLE = listed("""
supervisor manager trainee contractor employee customer client member volunteer student teacher nurse doctor surgeon
pilot driver guard cleaner cook waiter adviser consultant auditor inspector engineer technician programmer analyst
designer editor writer reporter translator lawyer clerk cashier receptionist assistant secretary director officer
agent broker underwriter adjuster surveyor builder plumber electrician gardener farmer fisher baker visitor guest
tenant landlord policyholder beneficiary applicant candidate intern apprentice graduate retiree pensioner shareholder
supplier vendor
""")
BODIES = listed("""
team department committee council board commission agency office group unit division society club association union
panel task_force working_group choir orchestra league network programme project initiative scheme fund
""")
MASS = listed("""
equipment leave insurance cover software training_material furniture luggage waste paper steel timber cement fuel
water electricity data evidence correspondence mail cash overtime maintenance travel parking childcare catering
cleaning stationery clothing jewellery
""")
ROLES = listed("""
branch_manager head_of_claims finance_director data_protection_officer site_manager team_leader shift_supervisor
chief_actuary head_of_security office_manager works_council line_manager duty_officer receptionist safety_officer
compliance_officer case_handler claims_adjuster loss_assessor head_of_human_resources chief_executive chief_engineer
project_lead board_secretary treasurer internal_auditor general_counsel press_officer archivist librarian caretaker
payroll_clerk travel_coordinator procurement_lead service_desk system_administrator network_engineer
database_administrator quality_manager warehouse_supervisor fleet_manager training_officer regional_director
deputy_director department_head managing_director privacy_officer company_doctor ombudsman supervisory_board
executive_board audit_committee risk_committee ethics_committee account_manager customer_care_manager product_owner
head_chef head_gardener station_master harbour_master chief_nurse lead_surgeon head_teacher dean museum_director
curator conductor
""")
DEPARTMENTS = listed("""
Human_Resources Claims Finance Legal Procurement Compliance Internal_Audit Customer_Service IT_Support Payroll
Facilities Underwriting Marketing Sales Risk_Management Security Logistics Research Communications Treasury Accounting
Training Data_Protection Actuarial_Services Operations Quality_Assurance
""")
ITEMS = listed("""
a_police_report two_photographs a_signed_form proof_of_purchase the_original_invoice a_valid_passport
a_medical_certificate a_copy_of_the_contract a_written_request the_serial_number an_identity_card a_driving_licence
a_bank_statement a_birth_certificate proof_of_address a_damage_report the_booking_reference a_cost_estimate
the_approval_of_a_manager a_second_signature a_completed_questionnaire a_security_clearance a_helmet safety_goggles
a_four-digit_PIN an_access_card a_residence_permit a_tax_return a_reference_letter a_notarised_copy a_doctor's_note
three_quotations the_policy_number a_repair_invoice a_risk_assessment a_training_certificate a_hard_hat
gloves_and_a_mask a_sealed_envelope a_power_of_attorney
""")
TOOLS = listed("""
the_staff_portal the_ticket_system a_spreadsheet the_mobile_app a_paper_form registered_post the_intranet
a_password_manager a_hardware_token a_torque_wrench a_label_printer a_barcode_scanner an_encrypted_USB_stick
the_booking_tool the_claims_portal a_shredder a_forklift a_video_call a_laser_scanner a_thermal_camera
the_self-service_kiosk a_soldering_iron an_authenticator_app a_shared_mailbox a_virtual_machine a_smart_card
the_online_form a_fax_machine a_courier_service a_secure_file_transfer a_microscope a_hand_pump the_expense_tool
the_loading_ramp
""")
MATERIALS = listed("""
oak pine steel copper aluminium glass granite marble bronze silver cotton wool linen silk leather clay brick concrete
bamboo carbon_fibre titanium recycled_plastic cork rubber porcelain sandstone slate brass wax cardboard paper felt
nylon stainless_steel
""")
COLOURS = listed("""
red blue green yellow white black grey orange purple brown pink silver dark_blue light_green turquoise beige crimson
amber navy_blue olive_green
""")
CATEGORIES = listed("""
confidential public internal restricted secret low_risk high_risk priority_two priority_one level_three class_B
category_A tier_1 tier_2 grade_C mandatory voluntary taxable tax-free refundable non-refundable pending approved
rejected closed archived active suspended experimental obsolete first_class second_class economy gold bronze platinum
standard premium basic
""")
REASONS = listed("""
bad_weather a_burst_pipe a_power_cut staff_shortages a_software_error rising_costs a_change_in_the_law low_demand
a_missing_signature water_damage a_shortage_of_parts a_data_breach a_security_incident an_expired_certificate
a_lack_of_funds unpaid_invoices heavy_snow a_strike a_gas_leak a_cyber_attack wrong_labels broken_seals new_tax_rules
road_works poor_air_quality a_faulty_sensor an_outbreak_of_flu high_winds flooding a_typing_error overheating
incomplete_documents a_conflict_of_interest noise_complaints worn_brakes mould frost a_merger a_failed_inspection
duplicate_payments
""")


def plural(noun: str) -> str:
    """Spell the plural of a regular noun."""
    if noun.endswith(("s", "x", "ch", "sh", "z")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return {"shelf": "shelves", "loaf": "loaves", "fish": "fish", "aircraft": "aircraft", "sheep": "sheep"}.get(
        noun, noun + "s"
    )


def article(word: str) -> str:
    """Choose `a` or `an` by the first letter, with the usual exceptions."""
    vowel = word[0].lower() in "aeiou" and not word.startswith(("uni", "use", "eu", "one"))
    return "an" if vowel or word.startswith(("hour", "heir")) else "a"


@cache
def side(group: str, held_out: bool) -> Sequence[str]:
    """List the nouns of one kind that belong to training, or those kept out of it."""
    kinds = {
        "modifier": MODIFIERS,
        "thing": THINGS,
        "event": EVENTS,
        "facility": FACILITIES,
        "people": PEOPLE,
        "body": BODIES,
        "mass": MASS,
    }
    return tuple(noun for noun in dict.fromkeys(kinds[group]) if is_held_out(noun) == held_out)
